//! A message as `submit_sm` PDUs, in the form that the route's carrier wants.

use campaign::{
    Sender,
    segment::{self, Encoding, Header, Segments, TooLong},
};
use engine::{Batch, DefaultAlphabet, Job, LongText, NumberForm, Outgoing, SmppConfig};
use jiff::SignedDuration;
use rusmpp::{
    pdus::SubmitSm,
    tlvs::{MessageSubmissionRequestTlvValue as Parameter, TlvTag},
    types::{AnyOctetString, COctetString, EmptyOrFullCOctetString, OctetString},
    udhs::concatenation::{ConcatenatedShortMessage8Bit, ConcatenatedShortMessage16Bit},
    values::{DataCoding, EsmClass, MessagePayload, Npi, RegisteredDelivery, ServiceType, Ton},
};

/// A feature of `esm_class` (SMPP 3.4 §5.2.12): user data header present.
const UDHI: u8 = 0x40;
/// A receipt is wanted once the outcome is final (SMPP 3.4 §5.2.17).
const FINAL_RECEIPT: u8 = 0x01;

/// What all messages of a batch have in common.
pub(crate) struct Parameters {
    validity: EmptyOrFullCOctetString<17>,
    registered_delivery: RegisteredDelivery,
    service_type: ServiceType,
    tlvs: Vec<Parameter>,
}

impl Parameters {
    pub(crate) fn of(config: &SmppConfig, batch: &Batch) -> Self {
        // An answer asks for no receipt, as none is kept: it would be taken for that of a campaign's message.
        let wanted = if batch.job == Job::Answer { 0 } else { FINAL_RECEIPT };
        let tlvs = config.tlvs.with(&batch.tlvs);
        Self {
            validity: batch.validity.map(relative).unwrap_or_default(),
            registered_delivery: RegisteredDelivery::from(wanted),
            service_type: ServiceType::new(string(&config.service_type)),
            tlvs: tlvs
                .iter()
                .map(|(tag, value)| Parameter::Other {
                    tag: TlvTag::from(tag),
                    value: AnyOctetString::from_slice(value),
                })
                .collect(),
        }
    }
}

fn string<const MOST: usize>(text: &str) -> COctetString<1, MOST> {
    COctetString::from_vec([text.as_bytes(), &[0]].concat()).unwrap_or_default()
}

/// A span from now on as a `validity_period`: `YYMMDDhhmmsstnnR`, in days instead of months and years (SMPP 3.4
/// §7.1.1).
fn relative(span: SignedDuration) -> EmptyOrFullCOctetString<17> {
    let minutes = span.as_mins();
    let text = format!("0000{:02}{:02}{:02}00000R\0", minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    EmptyOrFullCOctetString::from_vec(text.into_bytes()).unwrap_or_default()
}

/// The sender's type of number and numbering plan.
fn source(config: &SmppConfig, sender: &Sender) -> (Ton, Npi) {
    let (ton, npi) = match sender {
        Sender::Number(_) => (Ton::International, Npi::Isdn),
        Sender::National(_) => (Ton::National, Npi::Isdn),
        Sender::ShortCode(_) => (Ton::NetworkSpecific, Npi::Unknown),
        Sender::Alphanumeric(_) => (Ton::Alphanumeric, Npi::Unknown),
    };
    (config.source_ton.map_or(ton, Ton::from), config.source_npi.map_or(npi, Npi::from))
}

/// The recipient's address with its type of number and numbering plan.
fn destination(config: &SmppConfig, message: &Outgoing) -> (Ton, Npi, String) {
    let digits = message.number.digits();
    let (ton, text) = match config.number_form {
        NumberForm::E164 => (Ton::International, digits.to_string()),
        NumberForm::Plus => (Ton::International, format!("+{digits}")),
        NumberForm::ZeroZero => (Ton::Unknown, format!("00{digits}")),
        NumberForm::National => match message.number.national(config.country()) {
            Some(national) => (Ton::National, national),
            None => (Ton::International, digits.to_string()),
        },
    };
    (config.dest_ton.map_or(ton, Ton::from), config.dest_npi.map_or(Npi::Isdn, Npi::from), text)
}

/// Cuts the text into parts beside `header`, in the SMSC's alphabets.
fn cut(config: &SmppConfig, text: &str, header: Header) -> Result<(DataCoding, Vec<Vec<u8>>), TooLong> {
    let Segments { encoding, parts } = segment::cut_for(text, header)?;
    match (encoding, config.default_alphabet) {
        (Encoding::Ucs2, _) => Ok((DataCoding::Ucs2, parts)),
        (Encoding::Gsm7, DefaultAlphabet::Gsm) => Ok((DataCoding::McSpecific, parts)),
        (Encoding::Gsm7, DefaultAlphabet::Latin1) => {
            let latin1 = |part: &Vec<u8>| {
                segment::read_gsm7(part).chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>()
            };
            // Latin-1 lacks the euro sign and the Greek capitals of GSM 03.38.
            match parts.iter().map(latin1).collect() {
                Some(parts) => Ok((DataCoding::McSpecific, parts)),
                None => Ok((DataCoding::Ucs2, segment::cut_ucs2(text, header)?.parts)),
            }
        }
    }
}

/// The PDUs of one message, in order. `reference` ties the parts of a long text together.
pub(crate) fn submit(
    config: &SmppConfig,
    common: &Parameters,
    message: &Outgoing,
    reference: impl FnOnce() -> u16,
) -> Result<Vec<SubmitSm>, TooLong> {
    let sender = &*message.sender;
    let header = if config.long_text == LongText::Udh16 { Header::Sixteen } else { Header::Eight };
    let (coding, mut parts) = cut(config, &message.text, header)?;
    let mut tlvs = common.tlvs.clone();
    if config.long_text == LongText::Payload && parts.len() > 1 {
        tlvs.push(Parameter::MessagePayload(MessagePayload::new(AnyOctetString::from_vec(parts.concat()))));
        parts = vec![Vec::new()];
    }
    let (source_ton, source_npi) = source(config, sender);
    let (dest_ton, dest_npi, destination) = destination(config, message);
    let total = parts.len() as u8;
    let long = total > 1;
    let reference = if long { reference() } else { 0 };
    let pdu = |(at, part): (usize, Vec<u8>)| {
        let number = at as u8 + 1;
        let mut tlvs = tlvs.clone();
        let header = match config.long_text {
            _ if !long => Vec::new(),
            LongText::Udh16 => {
                ConcatenatedShortMessage16Bit::new_unchecked(reference, total, number).udh_bytes().to_vec()
            }
            LongText::Sar => {
                tlvs.extend([
                    Parameter::SarMsgRefNum(reference),
                    Parameter::SarTotalSegments(total),
                    Parameter::SarSegmentSeqnum(number),
                ]);
                Vec::new()
            }
            LongText::Udh8 | LongText::Payload => {
                ConcatenatedShortMessage8Bit::new_unchecked(reference as u8, total, number)
                    .udh_bytes()
                    .to_vec()
            }
        };
        let esm_class = if header.is_empty() { 0 } else { UDHI };
        let data = [header, part].concat();
        SubmitSm::builder()
            .service_type(common.service_type.clone())
            .source_addr_ton(source_ton)
            .source_addr_npi(source_npi)
            .source_addr(string(sender.address()))
            .dest_addr_ton(dest_ton)
            .dest_addr_npi(dest_npi)
            .destination_addr(string(&destination))
            // `EsmClass::default()` is not zero.
            .esm_class(EsmClass::from(esm_class))
            .validity_period(common.validity.clone())
            .registered_delivery(common.registered_delivery)
            .data_coding(coding)
            .short_message(OctetString::from_vec(data).unwrap_or_default())
            .tlvs(tlvs)
            .build()
    };
    Ok(parts.into_iter().enumerate().map(pdu).collect())
}
