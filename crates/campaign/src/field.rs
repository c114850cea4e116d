//! Names of contacts' fields, as people, files and other products spell them.
//!
//! One table serves both imports and texts: a placeholder of another product is said to mean the field that a column of
//! that name would be read as.

/// The column of the number.
pub const PHONE: &str = "phone";
/// The column of an area code that stands apart from the number.
pub const AREA_CODE: &str = "area_code";
/// The column of the recipient's own time zone.
pub const TIME_ZONE: &str = "time_zone";
/// Where a person agreed to receive messages.
pub const CONSENT_SOURCE: &str = "consent_source";
/// When a person agreed to receive messages.
pub const CONSENT_AT: &str = "consent_at";

/// Fields with their other names, folded: only letters and digits, in lower case, without accents.
const ALSO_CALLED: [(&str, &[&str]); 9] = [
    (
        PHONE,
        &[
            "phone",
            "phonenumber",
            "phoneno",
            "phonenr",
            "phonenum",
            "phone1",
            "mobile",
            "mobilephone",
            "mobilenumber",
            "mobileno",
            "mobilenr",
            "mobilephonenumber",
            "msisdn",
            "number",
            "cell",
            "cellphone",
            "cellnumber",
            "tel",
            "telephone",
            "telephonenumber",
            "telno",
            "telnr",
            "telefon",
            "telefonnummer",
            "telefonnr",
            "rufnummer",
            "numerodetelephone",
            "numerodetelefono",
            "numeroditelefono",
            "telefoonnummer",
            "telefono",
            "telefone",
            "telefoon",
            "handy",
            "handynummer",
            "mobil",
            "mobilnummer",
            "movil",
            "celular",
            "cellulare",
            "gsm",
            "contactnumber",
            "portable",
            "smsnumber",
            "e164",
        ],
    ),
    (AREA_CODE, &["areacode"]),
    ("first_name", &["firstname", "fname", "givenname", "forename", "first"]),
    ("last_name", &["lastname", "lname", "surname", "familyname", "last"]),
    ("email", &["email", "mail", "emailaddress"]),
    ("language", &["language", "lang", "locale"]),
    (TIME_ZONE, &["timezone", "tz"]),
    (CONSENT_SOURCE, &["consentsource", "optinsource"]),
    (CONSENT_AT, &["consentat", "consentdate", "optinat", "optindate"]),
];

/// A letter without its accents, as far as it is Latin; any other letter stays.
fn plain(c: char) -> &'static str {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ž' | 'ż' => "z",
        _ => "",
    }
}

/// A name spelt as a field's name: lower case, Latin letters, digits and `_`. None where nothing of it can be used.
pub fn spelt(name: &str) -> Option<String> {
    let mut field = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match (c, plain(c)) {
            (c, _) if c.is_ascii_alphanumeric() => field.push(c),
            // A combining accent belongs to the letter before it.
            ('\u{300}'..='\u{36F}', _) => {}
            (_, "") if c.is_alphanumeric() => return None,
            // Signs, spaces and invisible characters separate words.
            (_, "") => {
                if !field.ends_with('_') && !field.is_empty() {
                    field.push('_');
                }
            }
            (_, letters) => field.push_str(letters),
        }
    }
    let field = field.trim_end_matches('_').to_owned();
    match field.bytes().next() {
        None => None,
        Some(first) if first.is_ascii_digit() => Some(format!("_{field}")),
        Some(_) => Some(field),
    }
}

/// The field that a name means, if it is one that we know.
pub fn meant(name: &str) -> Option<&'static str> {
    let folded: String = spelt(name)?.chars().filter(|c| *c != '_').collect();
    ALSO_CALLED.iter().find(|(_, also)| also.contains(&folded.as_str())).map(|(known, _)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_known_however_they_are_spelt() {
        for (name, known) in [
            ("Phone Number", "phone"),
            ("phoneNumber", "phone"),
            ("\u{200B}phone", "phone"),
            ("Téléphone", "phone"),
            ("Numéro de téléphone", "phone"),
            ("Telefonnummer", "phone"),
            ("Mobile Phone Number", "phone"),
            ("phone_1", "phone"),
            ("PHONE", "phone"),
            ("E-Mail", "email"),
            ("firstName", "first_name"),
            ("FNAME", "first_name"),
            ("Time-Zone", "time_zone"),
            ("Opt-in date", "consent_at"),
            ("Area Code", "area_code"),
        ] {
            assert_eq!(meant(name), Some(known), "{name}");
        }
        assert_eq!(meant("clinic"), None);
    }

    #[test]
    fn other_names_become_names_that_a_text_can_use() {
        for (name, field) in [
            ("Prénom", Some("prenom")),
            ("Pre\u{301}nom", Some("prenom")),
            ("Name (full)", Some("name_full")),
            ("1st visit", Some("_1st_visit")),
            ("Größe", Some("groesse")),
            ("first name!", Some("first_name")),
            ("a.b-c", Some("a_b_c")),
            ("Имя", None),
            ("", None),
            ("!!", None),
        ] {
            assert_eq!(spelt(name).as_deref(), field, "{name}");
        }
    }
}
