# Every text of the screens, in English. A translation is this file with other values: keys, and the names between
# braces, stay. Texts are short and plain, without markup.

## On every page
carillon = Carillon
skip = Skip to content
nav-main = Main
nav-menu = Menu
nav-crumb = Where you are
nav-overview = Overview
nav-campaigns = Campaigns
nav-contacts = Contacts
nav-barred = Do not contact
nav-routes = Routes
nav-settings = Settings
zone-line = { $zone } time
campaigns = Campaigns
contacts = Contacts
routes = Routes
settings = Settings
sign-out = Sign out
actions = Actions
all = All
active = Active
any = Any
apply = Apply
choose = Choose…
clear = Clear
find = Find
from = From
to = To
goes = Send
last = Last
list = List
lists = Lists
message = Message
messages = Messages
more = More
name = Name
next = Next
number = Number
numbers = Numbers
older = Older
owner = Owner
overview = Overview
system = System
pages = Pages
password = Password
percent = { $n }%
previous = Previous
recipient = Recipient
recipients = Recipients
remove = Remove
replies = Replies
route = Route
save = Save
saved = Saved.
search-name = Search by name
segments = Segments
send-as = Sender
sender = Sender
since = Since
sort = Sort
sort-by = Sort by
sort-usual = Running, then what starts next
sort-reverse = Reverse
state = State
starts = Starts
status = Status
text = Text
time = Time
time-zone = Time zone
via = Via
when = When
who = Who
why = Why
show-all = Show all
no-limit = No limit
nobody-fits = No matches.
nobody-so-far = Searching… nothing yet.
to-the-campaigns = Back to campaigns
lost-offline = Connection lost. The figures may be out of date; they update by themselves when it is back.
lost-signed-out = You are signed out. This page no longer updates.
sign-in-again = Sign in again
so-much-of = { $n } of { $all }

## What the program calls by a word
status-defined = Defined
status-scheduled = Scheduled
status-running = Running
status-stopped = Stopped
status-errored = Errored
status-completed = Completed
status-archived = Archived
channel-sms = SMS
channel-voice = Voice
action-edit = Edit
action-schedule = Schedule
action-adjust = Change times
action-stop = Stop
action-restart = Restart
action-archive = Archive
action-clone = Clone
action-release = Send what is on hold
release-others = Send to the other { $n }
action-hang-up = Hang up
only-while = Only while { $status }
or = { $first } or { $last }
cause-created = Draft saved by
cause-edited = Edited by
cause-schedule = Scheduled by
cause-adjust = Times changed by
cause-stop = Stopped by
cause-restart = Restarted by
cause-archive = Archived by
cause-release = Released by
cause-hang-up = Calls hung up by
cause-first-delivery-due = First message due
cause-last-delivery-settled = All messages finished
cause-engine-cannot-go-on = Could not go on
outcome-pending = Pending
outcome-sending = Sending
outcome-sent = Sent (awaiting receipt)
outcome-delivered = Delivered
outcome-undelivered = Undelivered
outcome-failed = Failed
outcome-skipped = Skipped
outcome-cancelled = Cancelled
doubt-answered-unknown = Mark as answered
doubt-no-answer = Mark as not answered
outcome-in-doubt = Unconfirmed
outcome-answered-human = Answered by a person
outcome-answered-machine = Answered by a machine
outcome-answered-unknown = Answered
outcome-busy = Busy
outcome-no-answer = No answer
outcome-rejected = Rejected
outcome-unreachable = Unreachable
outcome-not-called = Not called
outcome-dialing = Dialing
outcome-ringing = Ringing
outcome-in-progress = In progress
reached = Reached
reached-sms = Delivered
reached-voice = Answered
not-reached-sms = Failed or undelivered
not-reached-voice = Not reached
to-go-sms = To send
to-go-voice = To call
percent-of-sent = { $n }% of those tried
skipped-opted-out = Opted out
skipped-blocked = Blocked
skipped-invalid-number = Invalid number
skipped-missing-field = Missing field
skipped-no-consent = No consent on record
skipped-limit = Contact limit reached
skipped-expired = Expired
skipped-earlier-failed = Previous message failed
skipped-deleted = Deleted on request
skipped-speech-failed = Speech could not be rendered
waiting-not-due = Next message
waiting-window-closed = Waiting for sending hours
waiting-route-down = Route offline. Reconnecting automatically
waiting-route-refuses = Carrier is rejecting messages. Testing with one message a minute
waiting-disabled = Route is switched off
waiting-rate = Waiting for capacity: other messages go first
waiting-calls-full = Waiting for a free line: the route or the campaign allows no more calls at once
waiting-earlier-message = Waiting for the previous message
waiting-fault = Data could not be read or stored. Trying again every minute
waiting-disk-full = The disk is nearly full. Free some space to continue
waiting-late = On hold: nothing could be sent for longer than the campaign allows. Send what is on hold, stop, or restart
waiting-trunk-busy = Slowed down: the trunk reports more busy or congested calls than usual, so it may be at its limit
waiting-rendering = Rendering the speech of the next calls. They start as it becomes ready
waiting-budget = The budget is spent, or calls in progress may spend the rest. Send what is on hold to go on regardless
waiting-pilot = Pilot sent. Check the results, then send to the others
why-text = { $why }.
why-text-until = { $why }. Continues { $until }
next-due = Next message: { $at }
why-detail = { $why }: { $detail }
failed-by-code = No explanation from the carrier
failed-unsaid = No explanation from the carrier
chart-messages = Messages
chart-calls = Calls
series-delivered = Delivered
series-sent = Sent, no receipt yet
series-failed = Failed or undelivered
series-doubt = Unconfirmed
series-skipped = Skipped
series-answered = Answered
series-not-reached = Not reached
chart-good = Delivered
chart-under-way = Sent
chart-bad = Undelivered or failed
chart-nothing = Skipped or in doubt
keyword-opt-out = Opted out
keyword-opt-in = Opted in
keyword-help = Asked for help
keyword-refusal = May be an opt-out
message-state-queued = Waiting
message-state-taken = Sending
message-state-sent = Sent
message-state-refused = Rejected
message-state-expired = Expired
message-state-in-doubt = Unconfirmed
route-state-connected = Connected
route-state-connecting = Connecting
route-state-refused = Rejected
route-state-disabled = Disabled
refusal-recipient = Failed, not retried
refusal-throttled = Retried later
refusal-route = Back in the queue; after 20 in a row the campaign pauses
refusal-unlisted = Tried three times while others are accepted, then failed
role-viewer = viewer
role-manager = manager
role-admin = admin
level-attempt = Every message as it changes (attempt)
level-person = Replies, opt-outs, and people who are done (person)
level-campaign = Status changes of campaigns (campaign)
counted-all = messages and calls together
counted-sms = messages only
counted-voice = calls only
scope-everything = everything
scope-channel = messages only; calls continue
scope-purpose = messages with the same purpose
barred-sms = messages
barred-voice = calls
barred-all = messages and calls
unit-days = days
unit-hours = hours
unit-minutes = minutes
day-mon = Mon
day-tue = Tue
day-wed = Wed
day-thu = Thu
day-fri = Fri
day-sat = Sat
day-sun = Sun

## Times in words
days = { $n ->
    [one] 1 day
   *[other] { $n } days
 }
hours = { $n ->
    [one] 1 hour
   *[other] { $n } hours
 }
minutes = { $n ->
    [one] 1 minute
   *[other] { $n } minutes
 }
no-time = less than a minute
send-now = Immediately
send-at = { $at }
send-local = { $at }, recipient's time
send-after = { $span } after the previous message
send-after-at = { $span } after the previous message, at { $time } recipient's time

## Sign-in
sign-in = Sign in
email = Email
sign-in-wrong = Wrong email or password.
sign-in-too-often = Too many attempts. Wait a minute and try again.
welcome = Welcome
welcome-to = Welcome to Carillon
welcome-as-viewer = Choose how you sign in. You will be a viewer.
welcome-as-manager = Choose how you sign in. You will be a manager.
welcome-as-admin = Choose how you sign in. You will be an admin.
link-once = This link works once.
password-long = At least 12 characters.
account-zone-first = You can change it later in Settings.
make-account = Create account
your-account = Your account
change-password = Change password
password-now = Current password
password-new = New password
password-signs-out = Other devices are signed out.
password-changed = Password changed.
password-wrong = Wrong password.
no-account = A token has no account. Sign in as a person.

## Overview
first-steps = Get started
first-step-region = Set your time zone and country
first-step-route = Connect a carrier
first-step-contacts = Import contacts
first-step-campaign = Create a campaign
needs-you = Needs you
nothing-needs-you = Nothing needs your attention.
running-now = Running
nothing-runs = No campaign is running.
next-starts = Next starts
nothing-scheduled = No campaign is scheduled.
import-n = Import { $id }
done = Done

## Campaign Index
index-kinds = Kind of campaign
place = { $from }–{ $to }
place-of = { $from }–{ $to } of { $all }
new-campaign = New campaign
new-campaign-sms = New SMS campaign
new-campaign-voice = New voice campaign
first-campaign = Your first campaign
first-campaign-what = A campaign sends messages or calls the people on your lists, at the times you choose.
first-contacts = Import contacts
first-write = Create a campaign
no-campaign-fits = No campaigns match these filters.
archived-fit = Show archived campaigns that match
none-of-sms = No SMS campaigns yet.
none-of-voice = No voice campaigns yet.
actions-for = Actions for { $name }
column-status = Status
column-name = Name
column-start = Start
column-created-by = Created by
column-messages = Messages
column-list = Contact list
column-progress = Progress

## Campaign Details
was-status = was { $status }
deleted-list = (deleted list)
none-yet = Not set
created-by = Created by
start-date = Start date
progress = Progress
messages-done = { $settled } of { $all } messages done
pages-of-campaign = Pages of this campaign
messages-count = { $n ->
    [one] 1 message
   *[other] { $n } messages
 }
calls-done = { $settled } of { $all } calls done
time-left = About { $span } left
last-due = Finishes about { $at }
export-csv = Export CSV
why-not = { $n ->
    [one] Why 1 message did not arrive
   *[other] Why { $n } messages did not arrive
 }
chart-described = Outcomes over time as a chart; the table below it has the same figures
chart-a-minute = { $what } per minute, by outcome
chart-an-hour = { $what } per hour, by outcome
chart-a-day = { $what } per day, by outcome
chart-minutes = { $what } per { $span }, by outcome
chart-as-table = Show as table
goes-from-to = { $from } to { $to }
no-message-yet = No message yet.
write-one = Write one
message-no = #
history = Activity
archive-sure = It is hidden from the list of campaigns and cannot be brought back. You can still open it under Archived.
archive-sure-cancels = { $n ->
    [one] 1 message is still to be sent. Archiving cancels it and hides the campaign. This cannot be undone.
   *[other] { $n } messages are still to be sent. Archiving cancels them and hides the campaign. This cannot be undone.
 }
stop-sure = { $n ->
    [one] 1 message is still to be sent and will be cancelled. You can restart the campaign later.
   *[other] { $n } messages are still to be sent and will be cancelled. You can restart the campaign later.
 }
stop-sure-calls = { $n ->
    [one] 1 person has not been called and will not be. A stopped voice campaign cannot be restarted; a copy can call the rest.
   *[other] { $n } people have not been called and will not be. A stopped voice campaign cannot be restarted; a copy can call the rest.
 }
stop-and-hang-up = Stop and hang up now
done-stop = Stopped. { $left } sent, { $cancelled } cancelled. Nothing more will be sent.
done-schedule = Scheduled for { $n ->
    [one] 1 recipient
   *[other] { $n } recipients
 }.
done-restart = { $n ->
    [one] Restarted. 1 message rescheduled.
   *[other] Restarted. { $n } messages rescheduled.
 }
done-adjust = Schedule updated.
done-archive = Archived. Find it under Archived.
done-clone = Copy created. Confirm consent, then schedule it.
done-hang-up = All calls in progress were ended.
done-release = What was on hold is being sent.
not-possible = { $action } isn't possible: this campaign is { $status }. Someone else may have changed it; this page shows its current state.

## Recipients and replies
recipients-of = Recipients of { $name }
outcome = Outcome
attempts = Attempts
doubt-sent = Mark as sent
doubt-failed = Mark as failed
open-contact = Open contact
carrier-id = Carrier's id
steps = Steps
handed-over = Accepted by the carrier
no-steps = Nothing has happened yet.
look-on = Keep searching
code = carrier code { $code }
no-receipt = No receipt after 72 h
tried-again = Retried: { $why }
replies-to = Replies to { $name }
which-replies = Which replies
to-look-at = Needs review
no-refusals = No replies need review.
no-replies = No replies yet.
reply = Reply
taken-as = Handled as
answered = Auto-reply

## Editor
edit-name = Edit { $name }
edit-campaign = Edit campaign
step-1 = 1 Details · 2 Messages · 3 Review. You can finish later.
from-and-to = Audience and sender
no-route-yet = No route yet.
add-one = Add one
contact-lists = Contact lists
no-list-yet = No contact list yet.
import-one = Import one
or-pool = Sender pool
no-pool-but-above = None
sending-hours = Sending hours (recipient's time)
account-zone-is-utc = The account's time zone is not set, so it is UTC.
zone-where-unknown = Fallback time zone
purpose = Purpose
not-said = None
caution = Safeguards
pilot = Pilot: send the first message to this many people, then wait for my OK
everybody = Off
budget = Maximum cost ({ $currency })
opt-in-approval = Consent
opt-in-acknowledged = I understand that I am required to obtain and store opt-in approval for every number texted
opt-in-needed = Required before scheduling.
save-and-messages = Next: messages
stale = Someone else saved changes while you were editing.
stale-see = View their version
stale-then = Save to overwrite it, or reload to take it.
stale-over = Overwrite with mine
draft = You have unsaved changes.
draft-take = Restore
messages-of = Messages of { $name }
step-2 = 2 of 3: messages, then review.
back-to-details = Back to details
message-n = Message { $n }
text-of-message = Text of message { $n }
word-for-word = No placeholders: send the text exactly as written
see-for = Preview as these numbers (default: the first three)
insert = Insert
characters = { $n ->
    [one] 1 character
   *[other] { $n } characters
 }
segments-each = { $n ->
    [one] 1 segment
   *[other] { $n } segments
 }
cost-each = { $cost } per person
too-long = Too long
contacts-lack = { $n ->
    [one] 1 person lacks a field of this text and will be skipped. Add a fallback:
   *[other] { $n } people lack a field of this text and will be skipped. Add a fallback:
 }
who-lacks = Show them:
contacts-lack-of = { $n ->
    [one] Of the first { $all } people, 1 lacks a field of this text and will be skipped. Add a fallback:
   *[other] Of the first { $all } people, { $n } lack a field of this text and will be skipped. Add a fallback:
 }
remove-message = Remove message { $n }
test-to = Your phone, for tests
test-message = Send message { $n } to my phone
tested = Test sent to { $to }. It is in no total.
tested-as = Test sent to { $to }, as { $contact } would read it. It is in no total.
add-message = Add message
preview = Preview
save-and-schedule = Review and schedule
hours-only = These days and hours
hours-from = from
hours-to = to
hours-except = Except on
hours-any = Any time
when-message-goes = When to send message { $n }
goes-keep = Keep current time
goes-now = Immediately
goes-at = At a set time
goes-local = At recipients' local time
goes-after = After the previous message
recipients-time = Recipient's time
where-passed = If that time has passed
where-passed-refuse = don't schedule
where-passed-next-day = send next day
how-long-after = Wait
unit = Unit
at-their-time = then send at (recipient's time, optional)
choose-time = Choose a date and a time.
choose-when = Choose when to send.
whole-number = Enter a whole number.

## Schedule, adjust, restart
schedule-name = Schedule { $name }
missing-or-wrong = Before you can schedule:
mend-it = Fix
cost = Cost
first-send = First send
last-send = Finishes about
rendering = Speech rendering, from ten minutes before
first-to-last = Duration
segments-estimated = Segments, about
windows-delay = { $recipients ->
    [one] Message { $message }: 1 recipient waits for their sending hours, which open { $until }.
   *[other] Message { $message }: { $recipients } recipients wait for their sending hours; the last of these open { $until }.
 }
summary = Summary
pilot-first = Pilot: { $n } people first. The other { $others } wait for your OK.
who-will-not = Will be skipped
warnings = Check first
from-to = { $from } to { $to }
first-call = First call
last-call = Last first call
schedule-freezes-calls = The audience is locked once scheduled. You can edit everything until the first call, and stop at any moment. Stop is final: a copy can call the rest.
calls-forecast = One call to each person, answered and heard out: over the script's shortest course to its longest. The times count how many calls may be up at once. Further calls after a busy line or no answer come on top.
over-budget = Forecast { $cost } is over the { $most } limit. Shorten the texts or raise the limit.
no-price-no-budget = The route has no price, so the limit cannot be kept. Set a price on the route, or remove the limit.
schedule-freezes = The audience and texts are locked once scheduled. You can change times until it starts, and stop at any moment.
schedule-for = Schedule for { $n ->
    [one] 1 recipient
   *[other] { $n } recipients
 }
not-now = Back
adjust-name = Change times of { $name }
restart-name = Restart { $name }
restart-what = Only people who have not been sent a message are rescheduled. No one gets a message twice; new opt-outs are skipped.
restart-remain = { $n ->
    [one] 1 left. Starts { $first }, finishes about { $last }.
   *[other] { $n } left. Starts { $first }, finishes about { $last }.
 }
goes-then = Currently: { $when }
nothing-left = Nothing is left to send.
restart-failed = Retry those that failed
restart-look = Preview times
new-times = New times
nothing-changed = Choose a new time first.
adjust-does = { $n ->
    [one] 1 recipient, sent { $first } to { $last }.
   *[other] { $n } recipients: first message { $first }, last about { $last }.
 }
adjust-for = { $n ->
    [one] Update schedule for 1 recipient
   *[other] Update schedule for { $n } recipients
 }

## Contacts
name-or-number = Name or number
found = Found
first-found = Showing the first { $n }. Type more of the name to see others.
names-due = New contacts become searchable by name in a few seconds.
all-lists = All lists
fields = Fields
do-not-contact = Do not contact
no-list-make-one = No contact lists yet. Create one, then import a file.
new-list = New list
make-list = Create list
contacts-count = { $n ->
    [one] 1 contact
   *[other] { $n } contacts
 }
add-contact = Add contact
edit-contact = Edit contact
zone-of-number = From the number
rename = Rename
take-off = Remove from { $list }
delete-list = Delete list
delete-list-sure = { $n ->
    [one] The list is deleted. Its contact stays, and so does what was sent to it.
   *[other] The list is deleted. Its { $n } contacts stay, and so does what was sent to them.
 }
no-contact = Not in your contacts.
lift-block = Unblock
block = Block
delete-contact = Delete contact
delete-contact-sure = Deletes the contact's fields, lists and consent for good. The number stays blocked where it is.
held-since = Blocked from { $channel } since { $at } ({ $why })
held-of-sms = messages
held-of-voice = calls
held-of-all = messages and calls
consent = Consent
agreed = Consent: <bdi>{ $where }</bdi>, { $at }
noted-by = recorded by { $who }
no-consent = No consent on record.
agreed-where = Consent source
by-telephone = by telephone
note-it = Record consent
consent-withdrawn = Consent withdrawn
last-written-as = Last sender used
nothing-sent = Nothing sent to this number yet.
campaign = Campaign
sent-as = Sent as
gets-no = Block
bar-it = Add
purpose-alone = { $barred }, only { $purpose }
numbers-get-no = Block its numbers from
import-barred-what = Such as a national do-not-call list. You see its columns before anything is imported.
nobody-barred = Nobody is on the do-not-contact list.

## Imports
import = Import
imports = Imports
import-into = Import into { $name }
import-file = Import a file
csv-file = CSV file
import-what = You check the columns and a preview before anything is imported.
send-file = Upload
choose-file = Choose a file first.
import-say-columns = Match the columns, check the preview, then import.
first-row-names = The first row names the columns
columns = Columns
column-name-in-file = Column
column-is = Import as
column-so-and-so-is = { $name } is
first-values = First values
left-out = Don't import
field-named = Custom field: { $name }
file-column-phone = Phone number
file-column-first-name = First name
file-column-last-name = Last name
file-column-email = Email
file-column-language = Language
file-column-time-zone = Time zone
file-column-consent-source = Consent source
file-column-consent-at = Consent date
country-without = Default country
all-agreed-where = Consent source for everyone
all-agreed-such-as = sign-up form of the clinic
first-rows-read = Preview
look-again = Refresh preview
import-progress = How much of the file was read
rows-so-far = { $n } rows so far.
import-reload = Reload the page to see progress.
import-failed = Not imported: { $why }
import-done = { $accepted } imported, { $rejected } need attention.
import-done-numbers = { $accepted } numbers added, { $rejected } need attention.
left-out-values = Values left out
left-out-what = Their contacts were imported without them.
rejected-rows = Rows that need attention
row = Row
rows = Rows
field = Field
value = Value
accepted = Accepted
rejected = Rejected
download-rejected = Download these rows
rejected-mend = Each row names what is wrong. Fix it and upload the file again.
to-the-list = Open list
import-stage-queued = Needs you
import-stage-running = Importing
import-stage-done = Done
import-stage-failed = Failed

## Routes
add-route = Add a route
add-trunk = Add a SIP trunk
new-route = New route
no-route = A route is your account with a carrier. Add one before your first campaign.
carrier = Carrier
per-second = Messages per second
window-used = In flight
not-accounted = Unconfirmed
last-trouble = Connected. Last problem: { $what }
refused-since = Rejections since start
command-status = Command status
in-words = Meaning
so = Treated as
how-often = Count
tried = Tests
smpp-account = SMPP account
unchanged = unchanged
with-tls = Connect with TLS
sip-trunk = SIP trunk
trunk-password = Answers the trunk's challenges. Type it again when host, port or transport change.
trunk-registers = The trunk asks for a registration
trunk-sound = Sound
as-the-trunk-asks = Trunk settings
how-much = Capacity
route-field-name = Name
route-field-host = Host
route-field-port = Port
route-field-system-id = System id
route-field-rate-per-second = Messages per second
route-field-binds = Connections
route-field-window = Window per connection
route-field-claim-budget = Max. unconfirmed after a crash (blank: 4 windows per connection)
route-field-price-per-segment = Price per segment (blank: unknown)
route-field-hosts = Further hosts
route-field-bind-mode = Bind mode
route-field-system-type = System type
route-field-address-range = Address range
route-field-bind-timeout = Seconds to connect
route-field-answer-timeout = Seconds to answer
route-field-enquire-interval = Seconds between keep-alives
route-field-number-form = Recipients' numbers
route-field-country = Country
route-field-source-ton = Senders' type of number (TON)
route-field-source-npi = Senders' numbering plan (NPI)
route-field-dest-ton = Recipients' type of number (TON)
route-field-dest-npi = Recipients' numbering plan (NPI)
route-field-default-alphabet = Default alphabet
route-field-long-text = Long texts
route-field-service-type = Service type
route-field-tlvs = Optional parameters
route-field-transport = Transport
route-field-username = Username
route-field-numbers = Caller IDs
route-field-calls-per-second = Calls per second
route-field-max-calls = Calls at once
route-field-price-per-minute = Price per minute (blank: unknown)
route-field-increment-seconds = Billing increment in seconds
route-field-outbound-proxy = Outbound proxy
route-field-domain = Domain
route-field-register-expires = Seconds to register for
route-field-public-address = Our public address
route-field-error-after = Minutes until campaigns end in error
route-field-tls-ca = Certificate authority
route-field-prefix = Prefix
route-field-codecs = Codecs
route-field-media-ports = UDP ports for sound
route-help-port = Blank: from the trunk's SRV records, else the transport's default.
route-help-transport = As the trunk's operator says.
route-help-numbers = The numbers calls may show, one per line. Calls need at least one.
route-help-outbound-proxy = Only if calls go to another host than the one above: proxy.example or proxy.example:5060.
route-help-domain = Only if the trunk wants another name than its host in addresses.
route-help-register-expires = 300 is usual.
route-help-public-address = Only behind NAT: our address as the trunk sees it.
route-help-error-after = How long to wait for a trunk that takes no calls.
route-help-tls-ca = PEM, only if the system does not know the trunk's authority.
route-help-prefix = Dialed before every number.
route-help-codecs = The best first: pcmu pcma g722.
route-help-media-ports = Two for each call; the firewall must let them through.
route-help-password = The standard has 8 characters; up to 64 for carriers that want more. To be typed again where host, port or TLS change.
route-help-hosts = One per line, smsc2.example or smsc2.example:2775. Tried in this order if the host above does not answer.
route-help-bind-mode = Most carriers take both directions on one connection.
route-help-system-type = Only if the carrier names one, such as VMA or SMPP.
route-help-address-range = Only if the carrier names one: which numbers' replies come to this account.
route-help-bind-timeout = How long connecting and binding may take; 10 is usual.
route-help-answer-timeout = A message without an answer by then is unconfirmed; 30 is usual.
route-help-enquire-interval = 15 is usual.
route-help-number-form = As the carrier wants them.
route-help-country = A code such as US: whose numbers come and go without their country code. Empty: the account's.
route-help-source-ton = 0 to 6, for every sender. Empty: by the kind of each sender.
route-help-source-npi = 0 to 18, for every sender. Empty: by the kind of each sender.
route-help-dest-ton = 0 to 6. Empty: by the form of the numbers.
route-help-dest-npi = 0 to 18. Empty: 1, telephone numbers.
route-help-default-alphabet = What data coding 0 means to the carrier. If @ $ _ arrive as other characters, it is the other one.
route-help-long-text = How a text of several segments travels.
route-help-service-type = Only if the carrier names one, up to 5 characters.
route-help-tlvs = Sent with every message, one per line: 0x1400 1101234567890, or 0x1401 hex:00ff.
route-choice-transceiver = both ways each
route-choice-transmitter-receiver = sending and receiving apart
route-choice-udp = UDP
route-choice-tcp = TCP
route-choice-tls = TLS
route-choice-e164 = 12025550123
route-choice-plus = +12025550123
route-choice-00 = 0012025550123
route-choice-national = 2025550123, without the country code
route-choice-gsm = GSM 03.38
route-choice-latin1 = Latin-1
route-choice-udh8 = in parts with a header, reference of 8 bits
route-choice-udh16 = in parts with a header, reference of 16 bits
route-choice-sar = in parts numbered by SAR parameters
route-choice-payload = whole, as message payload
route-tlvs-wrong = '{ $line }': write a tag and its value, such as 0x1400 1101234567890
as-the-carrier-asks = Carrier settings
route-connection = Connection
route-addresses = Addresses
route-texts = Texts
route-refusals = Error code overrides, one per line:
route-refusals-wrong = '{ $line }': write a command status and recipient, throttled or route
route-disabled = Disable
try-it = Send a test
test-text = Test message from Carillon.
send-one = Send test

routes-page-routes = Routes
routes-page-pools = Sender pools
routes-page-replies = Unmatched replies
unmatched = Unmatched replies
unmatched-what = Replies from numbers that no campaign wrote to. Opt-outs apply all the same.
no-unmatched = Every reply so far belongs to a campaign.
add-pool = Add a pool
new-pool = New pool
no-pool = No pools yet. A pool spreads a campaign over several senders; each recipient always sees the same one.
pool-what = Recipients are spread over the senders when a campaign is scheduled, by each sender's rate, and keep their sender. A sender removed here is replaced in campaigns already scheduled.
pool-senders = Senders with segments per second, one per line, such as
pool-line-wrong = '{ $line }': write a sender, a comma and how many segments a second, at least 1
pool-remove-sure = Campaigns can no longer be sent as this pool.
senders-and-rates = Senders, and what they carry
each-second = { $n } per second

## Settings
settings-page-sending = Sending
settings-page-answers = Answers
settings-page-users = People
settings-page-tokens = API tokens
settings-page-webhooks = Webhooks
settings-page-audit = Audit log
where-you-are = Region
account-zone = Default time zone
account-country = Default country
account-currency = Currency
account-hours = Sending hours of new campaigns (recipient's time)
blackout-dates = Blackout dates, one per line: no campaign scheduled from now on sends on them
limit-person = Frequency cap
limit-messages = No more than
limit-days = in days
limit-counts = counting
limit-what = Per person, over all campaigns, counted from when the cap is set. A call counts once it rang. Blank: no cap. For recorded calls to homes without marketing, United States rules allow 3 in 30 days (47 CFR 64.1200(a)(3)).
purposes-and-opt-outs = Purposes and opt-outs
purposes = Purposes, one per line
opt-out-holds-for = STOP applies to
require-consent = Only message people with recorded consent
no-purpose-what = Campaigns without a purpose skip anyone with any opt-out.
answers-what = Automatic replies to STOP, START and HELP. The contact's field 'language' decides; others get English. Blank: no reply.
after-stop = After STOP
after-start = After START
to-help = To HELP
another-language = Another language
language = Language
keywords-off = Senders where CANCEL or YES mean something else, one per line, such as
role = Role
role-of = Role of { $who }
change = Change
last-seen = Last seen
never = Never
person-remove-sure = { $who } loses access now. Their history stays.
invitation-made = Send this link to the person. It works once, within three days:
invite-person = Invite a person
make-link = Create invitation
roles-what = Viewers can look. Managers can create and run campaigns and edit contacts. Admins can also change routes and these settings.
choose-role = Choose viewer, manager or admin.
acts-as = Role
made = Created
end = Revoke
no-token = No tokens yet. A token lets a program use the API.
new-token = New token
make-token = Create token
token-made = The new token, shown this once:
token-name-missing = Name the token: the name appears in histories.
token-end-sure = Programs that use the token { $name } lose access now.
webhook = Webhook
no-webhook = No webhooks yet. A webhook tells another system what happens here, as it happens.
new-webhook = New webhook
address = Address
told-of = Events
waiting = Waiting
on = On
off-because = Off: { $why }
webhook-secret = The new webhook's secret, shown this once. It signs every request:
webhook-address = URL
webhook-what = Signed by the Standard Webhooks specification. Failed deliveries are retried ten times over nearly three days.
webhook-off = Off: { $why }. Events are not sent meanwhile.
webhook-off-by = switched off by { $who }
webhook-remove-sure = It gets no more events, and its log is deleted.
add-webhook = Add webhook
send-test = Send a test
switch-on = Switch on
switch-off = Switch off
nothing-told = No events yet.
event = Event
events = Events
tries = Attempts
event-next = next { $at }
event-state-queued = Waiting
event-state-delivered = Delivered
event-state-given-up = Failed
tell-again = Resend
milliseconds = { $n } ms

## Audit log
audit-empty = Nothing has changed yet.
what = What
which = Which
deed-signed-in = signed in
deed-signed-out = signed out
deed-account-made = accepted an invitation
deed-campaign-made = created campaign
deed-campaign-edited = edited the campaign
deed-campaign-cloned = copied campaign
deed-campaign-scheduled = scheduled the campaign
deed-campaign-adjusted = changed times
deed-campaign-stopped = stopped the campaign
deed-campaign-restarted = restarted the campaign
deed-campaign-released = sent what was on hold
deed-campaign-archived = archived the campaign
deed-doubt-settled = settled an unconfirmed delivery
deed-list-made = created a list
deed-list-renamed = renamed the list
deed-list-deleted = deleted the list
deed-contact-added = added a contact
deed-contact-edited = edited the contact
deed-contact-taken-off = took a contact off a list
deed-file-sent = uploaded a file
deed-import-begun = started an import
deed-number-blocked = blocked the number
deed-block-lifted = unblocked the number
deed-consent-noted = recorded consent
deed-consent-withdrawn = recorded a withdrawn consent
deed-contact-deleted = deleted the contact
deed-route-added = added a route
deed-route-changed = changed the route
deed-route-tried = tested the route
deed-pool-added = added a pool of senders
deed-pool-changed = changed the pool of senders
deed-pool-removed = removed the pool of senders
deed-settings-changed = changed the settings
deed-person-invited = invited a person
deed-person-added = added a person
deed-password-set = set a password
deed-role-changed = changed a person's role
deed-person-removed = removed a person
deed-token-made = created an API token
deed-token-ended = revoked an API token
deed-webhook-added = added a webhook
deed-webhook-switched = switched a webhook
deed-webhook-tried = tested a webhook
deed-webhook-removed = removed a webhook
deed-event-told-again = resent an event
deed-data-adopted = enabled sending from this copy

## Calls
calls = Calls
calls-of = Calls of { $name }
calling = Calling
calling-again = Retries
call-field-ring-time = Seconds to ring (5 to 180)
call-field-calls-per-second = Calls per second (blank: as many as the route takes)
call-field-max-calls = Calls at once (blank: as many as the route takes)
call-field-opt-out-key = Key that opts out, at any time
call-field-goal = Goal of the call
call-field-most = Most calls to one person, the first included
call-until = No calls after ({ $zone }; blank: no end)
call-rule-busy = Busy
call-rule-no-answer = No answer
call-rule-congestion = No room on the trunk
call-rule-unreachable = Unreachable
call-rule-no-goal = Answered, goal not reached
minutes-later = minutes later
times = times
no-key = None
no-goal = Any answer
script = Script
script-fields = Placeholders you can use in texts, in double braces: { $fields }
step = Step
step-name = Name of the step
step-name-wrong = Give it a name of its own: up to 40 small letters, digits, _ and -
step-does = What it does
step-kind-say = Say a text
step-kind-play = Play a recording
step-kind-gather = Ask for keys
step-kind-transfer = Transfer the call
step-kind-stream = Stream the sound
step-kind-opt-out = Opt the person out
step-kind-hang-up = Hang up
step-field-text = Text
step-field-voice = Voice (blank: the default voice)
step-field-audio = Recording
step-field-digits = Digits of an answer
step-field-timeout = Seconds to wait for a key
step-field-tries = Times to ask
step-field-on = Answers, one per line: keys and the next step
step-field-to = To whom (sip: or tel: address)
step-field-mode = How
transfer-refer = the trunk connects both, and we leave (REFER)
transfer-bridge = we call and pass the sound on (two calls of the trunk)
step-way-next = Next
step-way-none = If nothing is pressed
step-way-other = If another key is pressed
step-way-failed = If nobody answers
choose-step = Choose a step
first-step = First step
add-step = Add a step
remove-step = Remove { $step }
hear-step = Hear { $step }
as-saved = as saved, as a phone hears it
save-and-hear = Save
save-and-close = Save and close
save-and-calls = Next: script
upload-audio = Upload a recording
wav-or-mp3 = WAV or MP3, ten minutes at most
upload = Upload
caller-id = Caller ID
opt-in-acknowledged-calls = I understand that I am required to obtain and store opt-in approval for every number called
no-script-yet = No script yet.
first-calls = First calls
calls-came = Calls
ways-taken = Next steps
talked = { $seconds ->
    [one] 1 second of talk
   *[other] { $seconds } seconds of talk
}
error-of = What went wrong with { $name }
why-errored = What went wrong
first-at = First
last-at = Last
calls-affected = Calls affected
sip-code = SIP code
what-to-check = What to check
example-call = An example call
we-sent = We sent
we-heard = We heard
what-now = What now
clone-all = Copy for everyone
clone-remaining = Copy for those not called

## Calls for marketing
calls-for-marketing = Calls for marketing
organisation = The name that people know you by
call-back-number = Number to call back
marketing-rule-ring-time = The phone rings for at least 15 seconds (47 CFR 64.1200(a)(6))
marketing-rule-organisation = The first step says who calls (b)(1)
marketing-rule-call-back-number = A number to call back is said (b)(2)
marketing-rule-opt-out-key = A key opts out wherever it is pressed, and is explained within two seconds of the name (b)(3)
marketing-rules-what = United States rules for recorded calls with the purpose marketing. Texts are searched for the name, the number and the key when a campaign is scheduled. Where other law holds, switch a rule off.
uploads-say = What the uploads say
uploads-say-organisation = They say who calls
uploads-say-call-back-number = They say a number to call back
uploads-say-opt-out-key = They explain the key that opts out, within two seconds of the name
uploads-say-what = For calls with the purpose marketing, and for what is played from uploads: nobody else can tell what they say. Who ticked it and when is kept with the campaign.

## Test calls
call-one = Call this phone
call-one-what = It rings for at most 30 seconds, says the text and hangs up; without a text it hangs up at once. It is in no campaign and no total.
test-call-text = This is a test call. If you hear this, calls work.
test-caller-id = choose one of the numbers that this trunk may show
tried-call = The test call: { $outcome } ({ $words }).
