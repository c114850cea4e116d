# Every text of the screens, in English. A translation is this file with other values: keys, and the names between
# braces, stay. Texts are short and plain, without markup.

## On every page
carillon = Carillon
skip = Skip to content
nav-main = Main
campaigns = Campaigns
contacts = Contacts
routes = Routes
settings = Settings
sign-out = Sign out
actions = Actions
all = All
any = Any
choose = Choose…
clear = Clear
filter = Filter
find = Find
from = From
to = To
goes = Goes
last = Last
list = List
lists = Lists
message = Message
messages = Messages
name = Name
next = Next
number = Number
numbers = Numbers
older = Older
owner = Owner
password = Password
previous = Previous
recipients = Recipients
remove = Remove
replies = Replies
route = Route
save = Save
saved = Saved.
search = Search
segments = Segments
send-as = Send as
since = Since
state = State
status = Status
text = Text
time = Time
time-zone = Time zone
when = When
who = Who
why = Why
show-all = Show all
no-limit = no limit
nobody-fits = Nobody fits.
nobody-so-far = Nobody so far: there are many to look through.
to-the-campaigns = To the campaigns
lost-offline = The connection to the server is lost. What you see may be out of date; it goes on by itself once the connection is back.
lost-signed-out = You are signed out, so nothing on this page changes any more.
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
action-adjust = Adjust schedule
action-stop = Stop
action-restart = Restart
action-archive = Archive
action-clone = Clone
action-release = Release
action-hang-up = Hang up
only-while = only while { $status }
or = { $first } or { $last }
cause-created = created
cause-edited = edited
cause-schedule = scheduled
cause-adjust = schedule adjusted
cause-stop = stopped
cause-restart = restarted
cause-archive = archived
cause-release = released
cause-hang-up = calls hung up
cause-first-delivery-due = first delivery due
cause-last-delivery-settled = last delivery settled
cause-engine-cannot-go-on = could not go on
outcome-pending = Pending
outcome-sending = Sending
outcome-sent = Sent
outcome-delivered = Delivered
outcome-undelivered = Undelivered
outcome-failed = Failed
outcome-skipped = Skipped
outcome-cancelled = Cancelled
doubt-answered-unknown = It was answered
doubt-no-answer = It was not
outcome-in-doubt = In doubt
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
skipped-opted-out = opted out
skipped-blocked = blocked
skipped-invalid-number = number not valid
skipped-missing-field = a field of the text is missing
skipped-no-consent = no consent on record
skipped-limit = over the limit of messages and calls to one person
skipped-expired = too late to be of use
skipped-earlier-failed = the message before failed
skipped-deleted = deleted on request
skipped-speech-failed = what was to be said could not be rendered
waiting-not-due = The next message is not due yet
waiting-window-closed = Outside the sending hours of its recipients
waiting-route-down = The route has no connection; it is tried again by itself
waiting-route-refuses = The carrier refuses; one message a minute is tried
waiting-disabled = The route is switched off
waiting-rate = The rate is used up by what goes before
waiting-calls-full = As many calls are up as the route or the campaign allows
waiting-earlier-message = The message before it has not been sent for long enough
waiting-fault = Its data could not be read or stored; tried again each minute
waiting-disk-full = The disk is nearly full: free some space and it goes on
waiting-late = On hold: nothing could be sent for longer than the lateness limit. Release it, stop it, or restart it
waiting-trunk-busy = It goes more slowly: the trunk answers more calls than usual as busy or congested, so it may be at its limit
waiting-rendering = What is said in the next calls is being rendered; they are made as it becomes ready
waiting-budget = The budget is spent, or the calls that are up may spend the rest of it. Once it is spent, release the rest to go on regardless
waiting-pilot = The pilot is sent; look at what became of it, then release the rest
why-text = { $why }.
why-text-until = { $why } until { $until }.
why-detail = { $why }: { $detail }
failed-by-code = the carrier gave a code without words
failed-unsaid = the carrier did not say why
chart-good = Delivered
chart-under-way = Sent
chart-bad = Undelivered or failed
chart-nothing = Skipped or in doubt
keyword-opt-out = opted out
keyword-opt-in = opted in
keyword-help = asked for help
keyword-refusal = reads like a refusal
message-state-queued = waits
message-state-taken = under way
message-state-sent = sent
message-state-refused = refused
message-state-expired = too late, dropped
message-state-in-doubt = in doubt
route-state-connected = connected
route-state-connecting = connecting
route-state-refused = refused
route-state-disabled = disabled
refusal-recipient = failed, not tried again
refusal-throttled = tried again later
refusal-route = put back in the queue; after 20 in a row the campaign pauses
refusal-unlisted = tried three times while others are accepted, then failed
role-viewer = viewer
role-manager = manager
role-admin = admin
level-attempt = each message as it changes (attempt)
level-person = replies, opt-outs, and who is done (person)
level-campaign = a campaign's statuses (campaign)
counted-all = messages and calls together
counted-sms = messages alone
counted-voice = calls alone
scope-everything = of any kind: no message, no call
scope-channel = by SMS; calls go on
scope-purpose = by SMS for the purpose of the campaign that was answered
barred-sms = message
barred-voice = call
barred-all = message and no call
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
send-now = as soon as it is scheduled
send-at = { $at }
send-local = { $at }, recipient's time
send-after = { $span } after the previous message
send-after-at = { $span } after the previous message, at { $time }, recipient's time

## Sign-in
sign-in = Sign in
email = E-mail
sign-in-wrong = This e-mail address and password do not fit.
sign-in-too-often = Too many tries. Wait a minute, then try again.
welcome = Welcome
welcome-to = Welcome to Carillon
welcome-as-viewer = Choose how you sign in. You will be a viewer.
welcome-as-manager = Choose how you sign in. You will be a manager.
welcome-as-admin = Choose how you sign in. You will be an admin.
link-once = This link works once.
password-long = At least 12 characters.
account-zone-first = It can be changed in the settings.
make-account = Make my account
your-account = Your account
change-password = Change password
password-now = Password now
password-new = New password
password-signs-out = You are signed out everywhere else.
password-changed = The password is changed.
password-wrong = this is not your password
no-account = a token has no account; sign in as a person

## Campaign Index
index-kinds = Kind of campaign
new-campaign = New campaign
first-campaign = Your first campaign
first-campaign-what = A campaign sends one or more messages to the people on a contact list, at the times that you choose.
first-contacts = 1. Import contacts
first-write = 2. Write a campaign
all-but-archived = All but archived
starts-from = Starts from
starts-to = to
no-campaign-fits = No campaign fits.
archived-fit = Archived campaigns do: show them
none-of-sms = No campaign fits.
none-of-voice = Voice campaigns cannot be made yet.
progress-of = Progress of { $name }
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
contact-list = Contact list
none-yet = none yet
created-by = Created by
start = Start
progress = Progress
of-deliveries = of { $deliveries ->
    [one] 1 delivery
   *[other] { $deliveries } deliveries
 } to { $recipients ->
    [one] 1 recipient
   *[other] { $recipients } recipients
 }
time-left = about { $span } left
last-due = finishes about { $at }
replies-count = Replies ({ $n })
export-csv = Export CSV
why-not = Why not
outcomes-over-time = Outcomes over time
chart-described = Outcomes over time as a chart; the table below it says the same in figures
chart-a-minute = Messages per minute
chart-minutes = Messages per { $n } minutes
chart-as-table = Show as a table
goes-from-to = { $from } to { $to }
no-message-yet = No message is written yet.
write-one = Write one
message-no = No.
text-and-time = Text and time
history = History
archive-sure = It is hidden from the list of campaigns, and nothing brings it back. It stays readable: choose the status Archived there.
archive-sure-cancels = { $n ->
    [one] One message is still to be sent. Archiving cancels it, hides the campaign from the list, and nothing brings it back.
   *[other] { $n } messages are still to be sent. Archiving cancels them, hides the campaign from the list, and nothing brings it back.
 }
stop-sure = { $n ->
    [one] One message is still to be sent and is cancelled. The campaign can be restarted.
   *[other] { $n } messages are still to be sent and are cancelled. The campaign can be restarted.
 }
stop-sure-calls = { $n ->
    [one] One person has not been called and will not be. The campaign cannot be restarted: a copy can call the rest.
   *[other] { $n } people have not been called and will not be. The campaign cannot be restarted: a copy can call the rest.
 }
stop-and-hang-up = Stop and hang up now
done-stop = Stopped; { $left } had left, { $cancelled } cancelled.
done-schedule = Scheduled for { $n ->
    [one] 1 recipient
   *[other] { $n } recipients
 }.
done-restart = { $n ->
    [one] Restarted; 1 is planned anew.
   *[other] Restarted; { $n } are planned anew.
 }
done-adjust = The schedule is adjusted.
done-archive = Archived. It is hidden from the index; the filter 'Archived' shows it.
done-clone = This is the copy. Acknowledge the opt-in approval and schedule it when it is ready.
done-hang-up = The calls that were up are hung up.
done-release = Released: what was held goes now.
not-possible = { $action } is not possible now: the campaign is { $status }. Somebody else may have acted on it; what is shown is how it stands.

## Recipients and replies
recipients-of = Recipients of { $name }
outcome = Outcome
attempts = Attempts
doubt-sent = It was sent
doubt-failed = It was not
look-on = Look on
code = code { $code }
no-receipt = no receipt
tried-again = { $why }; tried again
replies-to = Replies to { $name }
which-replies = Which replies
to-look-at = To look at
no-refusals = No reply reads like a refusal.
no-replies = Nobody has answered yet.
reply = Reply
taken-as = Taken as
answered = Answered

## Editor
edit-name = Edit { $name }
edit-campaign = Edit campaign
step-1 = Step 1 of 2: campaign details. Step 2: messages. What is missing can be filled in later.
from-and-to = From and to
no-route-yet = There is no route yet.
add-one = Add one
contact-lists = Contact lists
no-list-yet = There is no contact list yet.
import-one = Import one
or-pool = Or as one of a pool
no-pool-but-above = No pool; use the number above
sending-hours = Sending hours, in each recipient's time zone
account-zone-is-utc = The account's own time zone was never set and is UTC.
zone-where-unknown = Time zone where the recipient's own is not known
purpose = Purpose
not-said = Not said
caution = Caution
pilot = Pilot: send the first message to so many, then wait for me
everybody = everybody
budget = Maximum cost ({ $currency }): do not schedule what would cost more
opt-in-approval = Opt-in approval
opt-in-acknowledged = I understand that I am required to obtain and store opt-in approval for every number texted
opt-in-needed = Without it the campaign cannot be scheduled.
save-and-messages = Save and go to messages
stale = Somebody else saved this campaign while you edited it.
stale-see = See theirs in a new tab
stale-then = Then save yours over it, or reload to take theirs.
stale-over = Save mine over theirs
draft = There is something here that you typed and did not save.
draft-take = Bring it back
messages-of = Messages of { $name }
step-2 = Step 2 of 2.
back-to-details = Back to campaign details
message-n = Message { $n }
text-of-message = Text of message { $n }
word-for-word = Send word for word: nothing in the text is a placeholder
see-for = Show how the texts read for these numbers, instead of the first three
insert = Insert
characters = { $n ->
    [one] 1 character
   *[other] { $n } characters
 }
segments-each = { $n ->
    [one] 1 segment
   *[other] { $n } segments
 }
cost-each = { $cost } a recipient
too-long = too long
contacts-lack = { $n ->
    [one] One contact lacks a field of this text and would be skipped. Give it a default:
   *[other] { $n } contacts lack a field of this text and would be skipped. Give it a default:
 }
who-lacks = Who:
contacts-lack-of = { $n ->
    [one] Of the first { $all } contacts one lacks a field of this text and would be skipped. Give it a default:
   *[other] Of the first { $all } contacts { $n } lack a field of this text and would be skipped. Give it a default:
 }
remove-message = Remove message { $n }
add-message = Add a message
preview = Preview
save-and-schedule = Save and schedule…
hours-only = Only on these days and hours
hours-from = from
hours-to = to
hours-except = Not on these dates
hours-any = At any time
when-message-goes = When message { $n } goes
goes-keep = as it is planned
goes-now = as soon as it is scheduled
goes-at = at a fixed time
goes-local = at a time in each recipient's own time zone
goes-after = after the previous message
recipients-time = Recipient's time
where-passed = Where it has passed
where-passed-refuse = do not schedule
where-passed-next-day = send the next day
how-long-after = So many
unit = Unit
at-their-time = at (recipient's time, optional)
choose-time = choose a date and a time
choose-when = choose when it goes
whole-number = give a whole number

## Schedule, adjust, restart
schedule-name = Schedule { $name }
missing-or-wrong = This is missing or wrong:
mend-it = Mend it
cost = Cost
first-send = First send
last-send = Last send, at the route's rate
rendering = Rendering what is said, from ten minutes before
first-to-last = From first to last
segments-estimated = Segments (estimated)
windows-delay = { $recipients ->
    [one] Message { $message }: 1 recipient waits for their sending hours, which open { $until }.
   *[other] Message { $message }: { $recipients } recipients wait for their sending hours; the last of these open { $until }.
 }
who-will-not = Will be skipped
warnings = To look at before
from-to = { $from } to { $to }
first-call = First call
last-call = Last first call, as many at once as allowed
schedule-freezes-calls = Scheduling freezes the audience. Until the first call is due, everything can still be edited. Stop is final: a copy can call the rest.
calls-forecast = One call to each person, answered and heard out: over the script's shortest course to its longest. The times count how many calls may be up at once. Further calls after a busy line or no answer come on top.
over-budget = The forecast of { $cost } is over the limit of { $most }. Shorten the texts or raise the limit.
no-price-no-budget = The route has no price, so the limit cannot be kept. Give the route a price, or take the limit away.
schedule-freezes = Scheduling freezes the audience and locks the details. Until it runs, the times can be adjusted; Stop cancels what has not left.
schedule-for = Schedule for { $n ->
    [one] 1 recipient
   *[other] { $n } recipients
 }
not-now = Not now
adjust-name = Adjust schedule of { $name }
restart-name = Restart { $name }
restart-what = What was not sent is planned anew, as below. Whoever had a message keeps it and never gets it again; who opted out since is skipped.
restart-remain = { $n ->
    [one] 1 remains; it goes { $first }, at the latest { $last }.
   *[other] { $n } remain; the first goes { $first }, the last group is due { $last }.
 }
goes-then = Goes { $when }.
nothing-left = Nothing is left to send.
restart-failed = Also try those again that failed
restart-look = Show the new times first
new-times = New times
nothing-changed = choose a new time first
adjust-does = { $n ->
    [one] 1 recipient: it goes { $first } to { $last }.
   *[other] { $n } recipients: the first message goes { $first }, the last about { $last }.
 }
adjust-for = { $n ->
    [one] Update schedule for 1 recipient
   *[other] Update schedule for { $n } recipients
 }

## Contacts
name-or-number = Name or number
found = Found
first-found = The first { $n } are shown; say more of the name to see others.
names-due = Contacts were imported a moment ago; by their names they are found in a few seconds.
all-lists = All lists
fields = Fields
do-not-contact = Do not contact
no-list-make-one = There is no contact list yet. Make one, then import a file into it.
new-list = New list
make-list = Make the list
contacts-count = { $n ->
    [one] 1 contact
   *[other] { $n } contacts
 }
no-contact = This number is not a contact.
lift-block = Lift the block
delete-contact = Delete contact
delete-contact-sure = The contact's fields, lists and consent are deleted for ever. What keeps messages from the number stays.
held-since = { $why } ({ $channel }) since { $at }
held-of-sms = no message
held-of-voice = no call
held-of-all = no message and no call
consent = Consent
agreed = Agreed to be written to: <bdi>{ $where }</bdi>, { $at }
noted-by = noted by { $who }
no-consent = No consent is noted.
agreed-where = Where they agreed
by-telephone = by telephone
note-it = Note it
consent-withdrawn = They withdrew it
last-written-as = Last written to as
nothing-sent = Nothing was sent to this number.
campaign = Campaign
sent-as = Sent as
gets-no = Gets no
bar-it = Put it on the list
purpose-alone = { $barred }, { $purpose } alone
numbers-get-no = Numbers in it get no
import-barred-what = Such as a national do-not-call list. You see its columns before anything is imported.
nobody-barred = Nobody is on a do-not-contact list.

## Imports
import = Import
imports = Imports
import-into = Import into { $name }
import-file = Import a file
csv-file = CSV file
import-what = You see its columns, and how its first rows read, before anything is imported.
send-file = Send the file
choose-file = choose a file first
import-say-columns = The file is here. Choose what each column holds and check the first rows, then import it.
first-row-names = The first row names the columns
columns = Columns
column-name-in-file = Column
column-is = Is
column-so-and-so-is = { $name } is
first-values = First values
left-out = left out
field-named = field { $name }
file-column-phone = the number
file-column-first-name = first name
file-column-last-name = last name
file-column-email = e-mail address
file-column-language = language
file-column-time-zone = time zone
file-column-consent-source = where they agreed
file-column-consent-at = when they agreed
country-without = Country of numbers without one
all-agreed-where = Where they agreed to be written to, if all did
all-agreed-such-as = sign-up form of the clinic
first-rows-read = First rows as they would be read
look-again = Look again
import-progress = How much of the file was read
rows-so-far = { $n } rows so far.
import-reload = Reload the page to see how it goes.
import-failed = The file was not imported: { $why }
import-done = Done: { $accepted } contacts accepted, { $rejected } rows rejected.
import-done-numbers = Done: { $accepted } numbers accepted, { $rejected } rows rejected.
left-out-values = Values that were left out
left-out-what = Their contacts were imported without them.
rejected-rows = Rejected rows
row = Row
rows = Rows
field = Field
value = Value
accepted = Accepted
rejected = Rejected
download-rejected = Download all rejected rows
rejected-mend = Each stands beside what is wrong with it: mend the file and send it again.
to-the-list = To the list
import-stage-queued = waits for you
import-stage-running = runs
import-stage-done = done
import-stage-failed = failed

## Routes
add-route = Add a route
add-trunk = Add a SIP trunk
new-route = New route
no-route = A route is an account with a carrier. Add one before the first campaign.
carrier = Carrier
per-second = Messages a second
window-used = Window used
not-accounted = Not accounted for yet
last-trouble = Connected. The last trouble: { $what }
refused-since = Refused since the program began
command-status = Command status
in-words = In words
so = So
how-often = How often
tried = Tried
smpp-account = SMPP account
unchanged = unchanged
with-tls = Connect with TLS
sip-trunk = SIP trunk
trunk-password = What the trunk's challenges are answered with. To be typed again where host, port or transport change.
trunk-registers = The trunk asks for a registration
trunk-sound = Sound
as-the-trunk-asks = As the trunk asks
how-much = How much it carries
route-field-name = Name
route-field-host = Host
route-field-port = Port
route-field-system-id = System id
route-field-rate-per-second = Messages a second, all connections together
route-field-binds = Connections
route-field-window = Unanswered messages a connection
route-field-claim-budget = At most in doubt after a crash (empty: four windows of every connection)
route-field-price-per-segment = Price of a segment (empty: not known)
route-field-hosts = Further places
route-field-bind-mode = Connections for
route-field-system-type = System type
route-field-address-range = Address range
route-field-bind-timeout = Seconds to connect in
route-field-answer-timeout = Seconds to answer in
route-field-enquire-interval = Seconds of silence
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
route-field-calls-per-second = Calls to begin in a second
route-field-max-calls = Calls at once
route-field-price-per-minute = Price of a minute (empty: not known)
route-field-increment-seconds = Seconds that talk is billed in
route-field-outbound-proxy = Outbound proxy
route-field-domain = Domain
route-field-register-expires = Seconds to register for
route-field-public-address = Our public address
route-field-error-after = Minutes until campaigns end in error
route-field-tls-ca = Certificate authority
route-field-prefix = Prefix
route-field-codecs = Codecs
route-field-media-ports = UDP ports for sound
route-help-port = Empty: by the trunk's SRV records, else the transport's usual one.
route-help-transport = As the trunk's operator says.
route-help-numbers = The numbers that calls may show, one a line. Without any, no call can be scheduled.
route-help-outbound-proxy = Only where calls go to another host than the one above: proxy.example or proxy.example:5060.
route-help-domain = Only where the trunk wants another name than its host in its addresses.
route-help-register-expires = 300 is usual.
route-help-public-address = Only behind a router that changes addresses: ours as the trunk sees it.
route-help-error-after = How long a trunk that takes no call is waited for.
route-help-tls-ca = In PEM, only where the system does not know the trunk's.
route-help-prefix = Dialed before every number.
route-help-codecs = The best first: pcmu pcma g722.
route-help-media-ports = Two for each call; the firewall must let them through.
route-help-password = The standard has 8 characters; up to 64 for carriers that want more. To be typed again where host, port or TLS change.
route-help-hosts = One a line, smsc2.example or smsc2.example:2775: tried in this order where the host above does not answer.
route-help-bind-mode = Most carriers take both ways on one connection.
route-help-system-type = Only where the carrier names one, such as VMA or SMPP.
route-help-address-range = Only where the carrier names one: which numbers' replies come to this account.
route-help-bind-timeout = How long connecting and binding may take; 10 is usual.
route-help-answer-timeout = A message without an answer by then is in doubt; 30 is usual.
route-help-enquire-interval = After so much silence the carrier is asked whether it is there; 15 is usual.
route-help-number-form = As the carrier wants them.
route-help-country = A code such as US: whose numbers come and go without their country code. Empty: the account's.
route-help-source-ton = 0 to 6, for every sender. Empty: by the kind of each sender.
route-help-source-npi = 0 to 18, for every sender. Empty: by the kind of each sender.
route-help-dest-ton = 0 to 6. Empty: by the form of the numbers.
route-help-dest-npi = 0 to 18. Empty: 1, telephone numbers.
route-help-default-alphabet = What data coding 0 means to the carrier. If @ $ _ arrive as other characters, it is the other one.
route-help-long-text = How a text of several segments travels.
route-help-service-type = Only where the carrier names one, of up to 5 characters.
route-help-tlvs = Sent with every message, one a line: 0x1400 1101234567890, or 0x1401 hex:00ff.
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
as-the-carrier-asks = As the carrier asks
route-connection = Connection
route-addresses = Addresses
route-texts = Texts
route-refusals = What its command statuses mean, where it is not the usual: one a line, such as
route-refusals-wrong = '{ $line }': write a command status and recipient, throttled or route
route-disabled = Do not use it for now
try-it = Try it
test-text = A test of this route.
send-one = Send one message

routes-page-routes = Routes
routes-page-pools = Sender pools
routes-page-replies = Unmatched replies
unmatched = Unmatched replies
unmatched-what = Replies from numbers that no campaign wrote to from that sender. An opt-out holds all the same, for the number that it came from.
no-unmatched = Every reply so far answers a campaign.
add-pool = Add a pool
new-pool = New pool
no-pool = No pool yet. A campaign that is sent as a pool deals its senders to the recipients; each recipient keeps one.
pool-what = Senders are dealt to the recipients of a campaign when it is scheduled, each by its share of the rate; a recipient keeps its sender. One that is taken out here is replaced in campaigns that were scheduled before.
pool-senders = Senders, each with the segments a second that may go out as it, one a line, such as
pool-line-wrong = '{ $line }': write a sender, a comma and how many segments a second, at least 1
pool-remove-sure = Campaigns can no longer be sent as this pool.
senders-and-rates = Senders, and what they carry
each-second = { $n } a second

## Settings
settings-page-sending = Sending
settings-page-answers = Answers
settings-page-users = People
settings-page-tokens = API tokens
settings-page-webhooks = Webhooks
settings-page-audit = Audit log
where-you-are = Where you are
account-zone = Time zone, for recipients and campaigns that name none
account-country = Country of numbers without a country code, in imports
account-currency = Currency of prices and budgets
account-hours = Sending hours of new campaigns, in each recipient's time zone
blackout-dates = Blackout dates: holidays on which no campaign sends that is scheduled from now on, one a line
limit-person = Limit a person
limit-messages = The most to one person
limit-days = in this many days
limit-counts = counting
limit-what = Over all campaigns, counted from when the limit is set. A call counts once it rang. Whoever has had that many is skipped, with that reason. Empty: no limit. For recorded calls to homes without marketing, United States rules allow 3 in 30 days (47 CFR 64.1200(a)(3)).
purposes-and-opt-outs = Purposes and opt-outs
purposes = What campaigns may be for, one a line
opt-out-holds-for = Who replies STOP gets nothing more
require-consent = Write only to people whose consent is noted
no-purpose-what = A campaign without a purpose reaches nobody who opted out of anything.
answers-what = What is answered by itself to STOP, START and HELP. The contact's field 'language' decides; whoever has none, or another, gets English. An empty text answers nothing.
after-stop = After STOP
after-start = After START
to-help = To HELP
another-language = Another language
language = Language
keywords-off = Where CANCEL or YES answer something else: one sender a line, such as
role = Role
role-of = Role of { $who }
change = Change
last-seen = Last seen
never = never
person-remove-sure = { $who } is signed out everywhere and cannot sign in again. What they did stays in the histories.
invitation-made = Hand this link to the person; it works once, within three days:
invite-person = Invite a person
make-link = Make a link
roles-what = A viewer looks. A manager makes and runs campaigns and contacts. An admin also changes routes and sees these settings.
choose-role = choose viewer, manager or admin
acts-as = May act as
made = Made
end = End
no-token = No token yet. A token lets a program use the API.
new-token = New token
make-token = Make a token
token-made = The new token, shown this once:
token-name-missing = say what it is for: the name stands in histories
token-end-sure = Programs that use the token { $name } are refused from then on.
webhook = Webhook
no-webhook = No webhook yet. A webhook tells another system what happens here, as it happens.
new-webhook = New webhook
address = Address
told-of = Told of
waiting = Waiting
on = on
off-because = off: { $why }
webhook-secret = The new webhook's secret, shown this once. What is posted is signed with it:
webhook-address = Address that events are posted to
webhook-what = Signed by the Standard Webhooks specification. What is not taken is tried again, ten times over nearly three days.
webhook-off = Off: { $why }. What happens meanwhile is not told.
webhook-off-by = switched off by { $who }
webhook-remove-sure = It gets no more events, and its log is deleted.
add-webhook = Add the webhook
send-test = Send a test
switch-on = Switch on
switch-off = Switch off
nothing-told = Nothing was told yet.
event = Event
events = Events
tries = Tries
event-next = next { $at }
event-state-queued = waits
event-state-delivered = told
event-state-given-up = given up
tell-again = Tell again
milliseconds = { $n } ms

## Audit log
audit-empty = Nothing was changed yet.
what = What
which = Which
deed-signed-in = signed in
deed-signed-out = signed out
deed-account-made = took up an invitation
deed-campaign-made = made a campaign
deed-campaign-edited = edited the campaign
deed-campaign-cloned = made a copy of a campaign
deed-campaign-scheduled = scheduled the campaign
deed-campaign-adjusted = adjusted the schedule
deed-campaign-stopped = stopped the campaign
deed-campaign-restarted = restarted the campaign
deed-campaign-released = released what was held
deed-campaign-archived = archived the campaign
deed-doubt-settled = settled a delivery in doubt
deed-list-made = made a contact list
deed-file-sent = sent a file
deed-import-begun = began an import
deed-number-blocked = blocked the number
deed-block-lifted = lifted the block
deed-consent-noted = noted a consent
deed-consent-withdrawn = noted that a consent was withdrawn
deed-contact-deleted = deleted the contact
deed-route-added = added a route
deed-route-changed = changed the route
deed-route-tried = tried the route
deed-pool-added = added a pool of senders
deed-pool-changed = changed the pool of senders
deed-pool-removed = removed the pool of senders
deed-settings-changed = changed the settings
deed-person-invited = invited a person
deed-person-added = added a person
deed-password-set = set a password
deed-role-changed = changed a person's role
deed-person-removed = removed a person
deed-token-made = made an API token
deed-token-ended = ended an API token
deed-webhook-added = added a webhook
deed-webhook-switched = switched a webhook
deed-webhook-tried = tried a webhook
deed-webhook-removed = removed a webhook
deed-event-told-again = had an event told again
deed-data-adopted = let the data send from here

## Calls
calls = Calls
calls-of = Calls of { $name }
calling = Calling
calling-again = Calling again
call-field-ring-time = Seconds to ring (5 to 180)
call-field-calls-per-second = Calls to begin in a second (empty: as many as the route takes)
call-field-max-calls = Calls at once (empty: as many as the route takes)
call-field-opt-out-key = Key that opts out, wherever it is pressed
call-field-goal = What the calls are for
call-field-most = The most calls to one person, the first included
call-until = No call begins after ({ $zone }; empty: all are made)
call-rule-busy = Busy
call-rule-no-answer = No answer
call-rule-congestion = No room on the trunk
call-rule-unreachable = Unreachable
call-rule-no-goal = Answered, but not what it is for
minutes-later = minutes later
times = times
no-key = none
no-goal = every answer counts
script = Script
script-fields = What is said may hold these fields of a contact, in double braces: { $fields }
step = Step
step-name = Name of the step
step-name-wrong = a name of its own: up to 40 small letters, digits, _ and -
step-does = What it does
step-kind-say = says a text
step-kind-play = plays an upload
step-kind-gather = asks for keys
step-kind-transfer = hands the call over
step-kind-stream = hands the sound over
step-kind-opt-out = opts the person out
step-kind-hang-up = hangs up
step-field-text = Text
step-field-voice = Voice (empty: the speech engine's own)
step-field-audio = Upload
step-field-digits = Digits of an answer
step-field-timeout = Seconds to wait for a key
step-field-tries = How often it asks
step-field-on = Answers, one a line: what is pressed, and the step that follows
step-field-to = To whom (sip: or tel: address)
step-field-mode = How
transfer-refer = the trunk connects both, and we leave (REFER)
transfer-bridge = we call and pass the sound on (two calls of the trunk)
step-way-next = Then
step-way-none = Where nothing is pressed
step-way-other = Where something else is pressed
step-way-failed = Where nobody takes it
choose-step = Choose a step
first-step = First step
add-step = Add a step
remove-step = Remove { $step }
hear-step = Hear { $step }
as-saved = as it was saved, as a phone hears it
save-and-hear = Save and stay
save-and-calls = Save and write the script
upload-audio = Upload a recording
wav-or-mp3 = WAV or MP3, ten minutes at most
upload = Upload
caller-id = Caller ID
opt-in-acknowledged-calls = I understand that I am required to obtain and store opt-in approval for every number called
new-voice-campaign = New voice campaign
no-script-yet = No script yet.
first-calls = First calls
calls-came = Calls that came to it
ways-taken = Ways taken from it
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
clone-all = Clone for everybody
clone-remaining = Clone for those not called

## Calls for marketing
calls-for-marketing = Calls for marketing
organisation = The name that people know you by
call-back-number = The number to call you back
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
