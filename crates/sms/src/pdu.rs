//! A message as `submit_sm` PDUs: one a segment, long texts with a concatenation header (3GPP TS 23.040
//! §9.2.3.24.1).

use campaign::{
    Sender,
    segment::{self, Encoding},
};
use engine::{Batch, Outgoing};
use jiff::SignedDuration;
use rusmpp::{
    pdus::SubmitSm,
    types::{COctetString, EmptyOrFullCOctetString, OctetString},
    udhs::concatenation::ConcatenatedShortMessage8Bit,
    values::{DataCoding, EsmClass, Npi, RegisteredDelivery, Ton},
};

/// Message types and features of `esm_class` (SMPP 3.4 §5.2.12): user data header present.
const UDHI: u8 = 0x40;
/// Receipt wanted where the outcome is final (SMPP 3.4 §5.2.17).
const FINAL_RECEIPT: u8 = 0x01;

fn address(text: &str) -> COctetString<1, 21> {
    COctetString::from_vec([text.as_bytes(), &[0]].concat()).unwrap_or_default()
}

/// A span from now on, as `validity_period` has it: `YYMMDDhhmmsstnnR`, days instead of months and years
/// (SMPP 3.4 §7.1.1).
fn relative(span: SignedDuration) -> EmptyOrFullCOctetString<17> {
    let minutes = span.as_mins();
    let text = format!("0000{:02}{:02}{:02}00000R\0", minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    EmptyOrFullCOctetString::from_vec(text.into_bytes()).unwrap_or_default()
}

/// The PDUs of one message, in order. `reference` ties the parts of a long text together.
pub(crate) fn submit(
    batch: &Batch,
    message: &Outgoing,
    reference: u8,
) -> Result<Vec<SubmitSm>, segment::TooLong> {
    let sender = &*message.sender;
    let cut = segment::cut(&message.text)?;
    let validity = batch.validity.map(relative).unwrap_or_default();
    let coding = match cut.encoding {
        Encoding::Gsm7 => DataCoding::McSpecific,
        Encoding::Ucs2 => DataCoding::Ucs2,
    };
    let (ton, npi) = match sender {
        Sender::Number(_) => (Ton::International, Npi::Isdn),
        Sender::ShortCode(_) => (Ton::NetworkSpecific, Npi::Unknown),
        Sender::Alphanumeric(_) => (Ton::Alphanumeric, Npi::Unknown),
    };
    let total = cut.parts.len() as u8;
    let long = total > 1;
    Ok(cut
        .parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| {
            let data = if long {
                let header = ConcatenatedShortMessage8Bit::new_unchecked(reference, total, at as u8 + 1);
                [&header.udh_bytes()[..], &part].concat()
            } else {
                part
            };
            SubmitSm::builder()
                .source_addr_ton(ton)
                .source_addr_npi(npi)
                .source_addr(address(sender.address()))
                .dest_addr_ton(Ton::International)
                .dest_addr_npi(Npi::Isdn)
                .destination_addr(address(&message.number.digits().to_string()))
                // `EsmClass::default()` is not zero.
                .esm_class(EsmClass::from(if long { UDHI } else { 0 }))
                .validity_period(validity.clone())
                .registered_delivery(RegisteredDelivery::from(FINAL_RECEIPT))
                .data_coding(coding)
                .short_message(OctetString::from_vec(data).unwrap_or_default())
                .build()
        })
        .collect())
}
