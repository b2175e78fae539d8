//! Messages: requests are built, replies are matched with them and read.

use super::name::{self, Name};
use super::{A, AAAA, CNAME, IN, MX, NS, OPT, PTR, SOA, SPF, SRV, TXT};

/// Length of a header.
const HEADER: usize = 12;

/// The most bytes of a request: header, question, and the record of EDNS.
pub const LONGEST_REQUEST: usize = HEADER + name::LONGEST + 4 + 11;

/// What a datagram may carry where it is not cut into fragments.
const DATAGRAM: u16 = 1232;

/// Declares what may be wrong with a reply, each with its text; `#` stands for
/// a number.
macro_rules! wrongs {
    ($($name:ident = $text:literal;)*) => {
        #[derive(Clone, Copy)]
        #[repr(u8)]
        enum Wrong {
            $($name),*
        }

        /// The texts in the same order: one string, for the sake of weight.
        const TEXTS: &str = concat!($($text, "\n"),*);
    };
}

wrongs! {
    UnexpectedNumberOfQuestions = "unexpected number of questions: #";
    QuestionMismatch = "question mismatch";
    MalformedResponse = "malformed response";
    TransactionIdMismatch = "transaction ID mismatch";
    NotAResponse = "not a response";
    UnexpectedOperation = "unexpected operation";
    FormatError = "format error";
    ServerFailure = "server failure";
    NameError = "name error";
    NotImplemented = "not implemented";
    Refused = "refused";
    UnknownErrorCode = "unknown error code: #";
    MalformedQuestionSection = "malformed question section";
    UnknownQueryClassInDnsResponse = "unknown query class # in DNS response";
    Truncated = "truncated";
    MalformedName = "malformed name";
    MalformedResourceRecordHeader = "malformed resource record header";
    MalformedResourceRecordData = "malformed resource record data";
    InvalidARecordLength = "invalid A record length";
    InvalidAaaaRecordLength = "invalid AAAA record length";
    MalformedCname = "malformed cname";
    BadCnameRecordLength = "bad cname record length";
    MalformedNsdname = "malformed nsdname";
    BadNsdnameRecordLength = "bad nsdname record length";
    MalformedPtrdname = "malformed ptrdname";
    BadPtrdnameRecordLength = "bad ptrdname record length";
    BadMxRecordValueLength = "bad MX record value length";
    MalformedMxExchange = "malformed mx exchange";
    BadMxRecordLength = "bad mx record length";
    BadSrvRecordValueLength = "bad SRV record value length";
    MalformedSrvTarget = "malformed srv target";
    BadSrvRecordLength = "bad srv record length";
    MalformedSoaMname = "malformed soa mname";
    MalformedSoaRname = "malformed soa rname";
    BadSoaRecordValueLength = "bad SOA record value length";
    BadSoaRecordLength = "bad SOA record length";
}

/// What is wrong with a reply, in one word of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem(u32);

const fn problem(wrong: Wrong) -> Problem {
    numbered(wrong, 0)
}

const fn numbered(wrong: Wrong, number: u16) -> Problem {
    Problem(wrong as u32 | (number as u32) << 8)
}

impl Problem {
    /// Its text, around a number if one belongs to it.
    pub fn parts(self) -> (&'static [u8], Option<(u16, &'static [u8])>) {
        let mut texts = TEXTS.as_bytes().split(|&byte| byte == b'\n');
        let text = texts.nth(self.0 as usize & 0xff).unwrap_or_default();
        match text.iter().position(|&byte| byte == b'#') {
            None => (text, None),
            Some(at) => {
                let (before, after) = text.split_at(at);
                let after = after.get(1..).unwrap_or_default();
                (before, Some(((self.0 >> 8) as u16, after)))
            }
        }
    }
}

/// What a request says besides the name and the type.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub id: u16,
    /// The server is to ask others.
    pub recurse: bool,
    /// With EDNS (RFC 6891): larger datagrams are welcome.
    pub extended: bool,
}

/// Builds a request; gives its length, or None for what is no name.
pub fn request(
    name: &[u8],
    kind: u16,
    options: Options,
    room: &mut [u8; LONGEST_REQUEST],
) -> Option<usize> {
    room[..2].copy_from_slice(&options.id.to_be_bytes());
    room[2] = u8::from(options.recurse);
    room[5] = 1;
    room[11] = u8::from(options.extended);
    let mut at = HEADER + name::write(name, &mut room[HEADER..HEADER + name::LONGEST])?;
    let mut put = |value: u16| {
        if let Some(place) = room.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_be_bytes());
            at += 2;
        }
    };
    put(kind);
    put(IN);
    if options.extended {
        // No name, type, size of datagrams, then flags and length: zeros.
        let [high, low] = DATAGRAM.to_be_bytes();
        let record = [0, 0, OPT as u8, high, low, 0, 0, 0, 0, 0, 0];
        room.get_mut(at..at + record.len())?
            .copy_from_slice(&record);
        at += record.len();
    }
    Some(at)
}

/// A place in a message.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(bytes)
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn long(&mut self) -> Option<u32> {
        let high = u32::from(self.short()?);
        Some(high << 16 | u32::from(self.short()?))
    }
}

fn field(message: &[u8], at: usize) -> u16 {
    Reader { message, at }.short().unwrap_or(0)
}

/// Whether a datagram or a message of a connection answers the request; if not,
/// it is somebody else's, or a forgery, and is passed over.
pub fn matches(request: &[u8], reply: &[u8]) -> Result<(), Problem> {
    header(reply, field(request, 0))?;
    let code = reply[3] & 15;
    let count = field(reply, 4);
    // A server that refuses a request may leave the question out; that a name
    // does not exist is about a question.
    if count == 0 && code != 0 && code != 3 {
        return Ok(());
    }
    if count != 1 {
        return Err(numbered(Wrong::UnexpectedNumberOfQuestions, count));
    }
    let question = question(request).unwrap_or_default();
    let same = reply
        .get(HEADER..HEADER + question.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(question));
    // Names in the question are not compressed: there is nothing before them.
    same.then_some(()).ok_or(problem(Wrong::QuestionMismatch))
}

/// The question of a request of ours.
fn question(request: &[u8]) -> Option<&[u8]> {
    let end = name::skip(request, HEADER)?;
    request.get(HEADER..end + 4)
}

/// The first fields of a reply.
fn header(reply: &[u8], id: u16) -> Result<(), Problem> {
    if reply.len() < HEADER {
        Err(problem(Wrong::MalformedResponse))
    } else if field(reply, 0) != id {
        Err(problem(Wrong::TransactionIdMismatch))
    } else if reply[2] & 0x80 == 0 {
        Err(problem(Wrong::NotAResponse))
    } else if reply[2] & 0x78 != 0 {
        Err(problem(Wrong::UnexpectedOperation))
    } else {
        Ok(())
    }
}

/// What the server says of the request as a whole.
fn code(reply: &[u8]) -> Result<(), Problem> {
    const CODES: [Wrong; 5] = [
        Wrong::FormatError,
        Wrong::ServerFailure,
        Wrong::NameError,
        Wrong::NotImplemented,
        Wrong::Refused,
    ];
    match u16::from(reply[3] & 15) {
        0 => Ok(()),
        code => Err(CODES
            .get(usize::from(code) - 1)
            .map_or(numbered(Wrong::UnknownErrorCode, code), |&wrong| {
                problem(wrong)
            })),
    }
}

/// Reads the question and gives the place of the first record.
fn records_of(reply: &[u8]) -> Result<Reader<'_>, Problem> {
    let count = field(reply, 4);
    if count != 1 {
        return Err(numbered(Wrong::UnexpectedNumberOfQuestions, count));
    }
    let malformed = problem(Wrong::MalformedQuestionSection);
    let at = name::skip(reply, HEADER).ok_or(malformed)?;
    let mut reader = Reader { message: reply, at };
    reader.short().ok_or(malformed)?;
    match reader.short().ok_or(malformed)? {
        IN => Ok(reader),
        class => Err(numbered(Wrong::UnknownQueryClassInDnsResponse, class)),
    }
}

/// The records that answer.
pub struct Answers<'a> {
    reader: Reader<'a>,
    left: u16,
}

/// Reads a reply up to its first record; errors in the order of the contract.
pub fn answers(reply: &[u8], id: u16) -> Result<Answers<'_>, Problem> {
    header(reply, id)?;
    if reply[2] & 2 != 0 {
        return Err(problem(Wrong::Truncated));
    }
    code(reply)?;
    Ok(Answers {
        reader: records_of(reply)?,
        left: field(reply, 6),
    })
}

/// A record, all but its name.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    message: &'a [u8],
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    /// Where its data begin and end.
    begin: usize,
    end: usize,
}

/// Takes what the data of a record hold, by the name of the field.
pub trait Fields {
    fn address(&mut self, bytes: &[u8]);
    fn number(&mut self, field: &'static str, value: u32);
    fn name(&mut self, field: &'static str, name: &Name);
    /// One string, or several.
    fn strings(&mut self, field: &'static str, strings: Strings<'_>);
    fn bytes(&mut self, field: &'static str, bytes: &[u8]);
}

impl<'a> Reader<'a> {
    fn record_header(&mut self) -> Option<(u16, u16, u32, u16)> {
        Some((self.short()?, self.short()?, self.long()?, self.short()?))
    }

    /// Reads a record; `begin` is behind its name.
    fn record(&mut self, begin: Option<usize>) -> Result<Record<'a>, Problem> {
        self.at = begin.ok_or(problem(Wrong::MalformedName))?;
        let (kind, class, ttl, length) = self
            .record_header()
            .ok_or(problem(Wrong::MalformedResourceRecordHeader))?;
        let begin = self.at;
        self.take(length.into())
            .ok_or(problem(Wrong::MalformedResourceRecordData))?;
        Ok(Record {
            message: self.message,
            kind,
            class,
            ttl,
            begin,
            end: self.at,
        })
    }
}

impl<'a> Answers<'a> {
    /// The next record; its name goes to `name`.
    pub fn next(&mut self, name: &mut Name) -> Option<Result<Record<'a>, Problem>> {
        self.left = self.left.checked_sub(1)?;
        let begin = name.read(self.reader.message, self.reader.at);
        let record = self.reader.record(begin);
        Some(record.and_then(|record| {
            // It belongs elsewhere: the server did not know what it copied.
            if record.kind == OPT {
                return Err(problem(Wrong::MalformedResourceRecordHeader));
            }
            Ok(record)
        }))
    }
}

/// The strings of a TXT record.
#[derive(Clone, Copy)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    /// A string that would reach beyond the record ends with it.
    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        let (string, rest) = rest.split_at(rest.len().min(length.into()));
        self.0 = rest;
        Some(string)
    }
}

impl<'a> Record<'a> {
    fn data(&self) -> &'a [u8] {
        self.message.get(self.begin..self.end).unwrap_or_default()
    }

    /// Reads a name that ends the data.
    fn last_name(&self, at: usize, name: &mut Name, wrong: [Wrong; 2]) -> Result<(), Problem> {
        match name.read(self.message, at) {
            None => Err(problem(wrong[0])),
            Some(end) if end != self.end => Err(problem(wrong[1])),
            Some(_) => Ok(()),
        }
    }

    /// Gives the data to `fields`; `name` is room for names.
    pub fn read(&self, name: &mut Name, fields: &mut dyn Fields) -> Result<(), Problem> {
        let data = self.data();
        let mut reader = Reader {
            message: self.message,
            at: self.begin,
        };
        let mut number = |field| {
            let value = reader.short().unwrap_or(0);
            fields.number(field, value.into());
        };
        match self.kind {
            A | AAAA => {
                let (size, wrong) = if self.kind == A {
                    (4, Wrong::InvalidARecordLength)
                } else {
                    (16, Wrong::InvalidAaaaRecordLength)
                };
                if data.len() != size {
                    return Err(problem(wrong));
                }
                fields.address(data);
            }
            CNAME | NS | PTR => {
                let (field, wrong) = match self.kind {
                    CNAME => (
                        "cname",
                        [Wrong::MalformedCname, Wrong::BadCnameRecordLength],
                    ),
                    NS => (
                        "nsdname",
                        [Wrong::MalformedNsdname, Wrong::BadNsdnameRecordLength],
                    ),
                    _ => (
                        "ptrdname",
                        [Wrong::MalformedPtrdname, Wrong::BadPtrdnameRecordLength],
                    ),
                };
                self.last_name(self.begin, name, wrong)?;
                fields.name(field, name);
            }
            MX => {
                if data.len() < 3 {
                    return Err(problem(Wrong::BadMxRecordValueLength));
                }
                number("preference");
                let wrong = [Wrong::MalformedMxExchange, Wrong::BadMxRecordLength];
                self.last_name(reader.at, name, wrong)?;
                fields.name("exchange", name);
            }
            SRV => {
                if data.len() < 7 {
                    return Err(problem(Wrong::BadSrvRecordValueLength));
                }
                number("priority");
                number("weight");
                number("port");
                let wrong = [Wrong::MalformedSrvTarget, Wrong::BadSrvRecordLength];
                self.last_name(reader.at, name, wrong)?;
                fields.name("target", name);
            }
            SOA => {
                let mut at = self.begin;
                for (field, wrong) in [
                    ("mname", Wrong::MalformedSoaMname),
                    ("rname", Wrong::MalformedSoaRname),
                ] {
                    at = name.read(self.message, at).ok_or(problem(wrong))?;
                    fields.name(field, name);
                }
                let numbers = self.message.get(at..self.end).unwrap_or_default();
                if numbers.len() < 20 {
                    return Err(problem(Wrong::BadSoaRecordValueLength));
                }
                if numbers.len() > 20 {
                    return Err(problem(Wrong::BadSoaRecordLength));
                }
                reader.at = at;
                for field in ["serial", "refresh", "retry", "expire", "minimum"] {
                    fields.number(field, reader.long().unwrap_or(0));
                }
            }
            TXT => fields.strings("txt", Strings(data)),
            SPF => fields.strings("spf", Strings(data)),
            _ => fields.bytes("rdata", data),
        }
        Ok(())
    }
}

/// How many seconds a reply may be kept: the shortest life of its answers, or
/// what the zone says of names and records that do not exist (RFC 2308). Zero
/// for what is not to be kept.
pub fn lifetime(reply: &[u8]) -> u32 {
    const DAY: u32 = 86400;
    const NEGATIVE: u32 = 3600;
    if reply.len() < HEADER || reply[2] & 2 != 0 || !matches!(reply[3] & 15, 0 | 3) {
        return 0;
    }
    let Ok(mut reader) = records_of(reply) else {
        return 0;
    };
    let (answers, authorities) = (field(reply, 6), field(reply, 8));
    let is_positive = answers > 0 && reply[3] & 15 == 0;
    let mut shortest = DAY;
    let mut negative = None;
    for place in 0..u32::from(answers) + u32::from(authorities) {
        let begin = name::skip(reply, reader.at);
        let Ok(record) = reader.record(begin) else {
            return 0;
        };
        // RFC 2181: a time with the highest bit set is none.
        let ttl = if record.ttl > i32::MAX as u32 {
            0
        } else {
            record.ttl
        };
        if place < answers.into() {
            shortest = shortest.min(ttl);
        } else if record.kind == SOA {
            let minimum = record
                .data()
                .last_chunk()
                .copied()
                .map_or(0, u32::from_be_bytes);
            negative = Some(ttl.min(minimum).min(NEGATIVE));
        }
        if is_positive && place + 1 == u32::from(answers) {
            return shortest;
        }
    }
    negative.map_or(0, |negative| negative.min(shortest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Options = Options {
        id: 0x1234,
        recurse: true,
        extended: false,
    };

    fn built(name: &str, kind: u16, options: Options) -> Option<Vec<u8>> {
        let mut room = [0; LONGEST_REQUEST];
        let length = request(name.as_bytes(), kind, options, &mut room)?;
        Some(room[..length].to_vec())
    }

    /// A reply to a request, with records whose names point to the question.
    fn reply(request: &[u8], code: u8, sections: [&[(u16, &[u8])]; 2]) -> Vec<u8> {
        let mut bytes = request[..2].to_vec();
        bytes.extend([0x81, 0x80 | code, 0, 1]);
        for section in sections {
            bytes.extend((section.len() as u16).to_be_bytes());
        }
        bytes.extend([0, 0]);
        bytes.extend(question(request).unwrap());
        for (kind, data) in sections.into_iter().flatten() {
            bytes.extend([0xc0, 12]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 1, 0]);
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    #[derive(Default)]
    struct Text(String);

    impl Fields for Text {
        fn address(&mut self, bytes: &[u8]) {
            self.bytes("address", bytes);
        }
        fn number(&mut self, field: &'static str, value: u32) {
            self.0 += &format!(" {field}={value}");
        }
        fn name(&mut self, field: &'static str, name: &Name) {
            self.0 += &format!(" {field}={}", String::from_utf8_lossy(name.text()));
        }
        fn strings(&mut self, field: &'static str, strings: Strings<'_>) {
            let list: Vec<_> = strings.map(String::from_utf8_lossy).collect();
            self.0 += &format!(" {field}={}", list.join("|"));
        }
        fn bytes(&mut self, field: &'static str, bytes: &[u8]) {
            self.0 += &format!(" {field}={bytes:?}");
        }
    }

    fn said(problem: Problem) -> String {
        match problem.parts() {
            (text, None) => String::from_utf8_lossy(text).into(),
            (text, Some((number, rest))) => {
                let number = number.to_string();
                let parts = [text, number.as_bytes(), rest];
                String::from_utf8(parts.concat()).unwrap()
            }
        }
    }

    /// Everything in a reply, or what is wrong with it.
    fn read(reply: &[u8]) -> Result<Vec<String>, String> {
        let mut list = Vec::new();
        let mut name = Name::new();
        let mut answers = answers(reply, 0x1234).map_err(said)?;
        while let Some(record) = answers.next(&mut name) {
            let record = record.map_err(said)?;
            let mut text = Text(String::from_utf8_lossy(name.text()).into());
            text.number("type", record.kind.into());
            text.number("ttl", record.ttl);
            record.read(&mut name, &mut text).map_err(said)?;
            list.push(text.0);
        }
        Ok(list)
    }

    fn one(kind: u16, data: &[u8]) -> Result<String, String> {
        let request = built("a.b", kind, PLAIN).unwrap();
        let mut list = read(&reply(&request, 0, [&[(kind, data)], &[]]))?;
        Ok(list.remove(0).trim_start_matches("a.b type=").into())
    }

    #[test]
    fn requests_are_built() {
        assert_eq!(
            built("a.b", 28, PLAIN).unwrap(),
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x01b\x00\x00\x1c\x00\x01"
        );
        let extended = Options {
            recurse: false,
            extended: true,
            ..PLAIN
        };
        assert_eq!(
            built("", 2, extended).unwrap(),
            b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x02\x00\x01\
              \x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
        );
        let longest = "a.".repeat(127);
        assert_eq!(built(&longest, 1, extended).unwrap().len(), LONGEST_REQUEST);
        assert_eq!(built(&(longest + "a"), 1, extended), None);
    }

    #[test]
    fn replies_are_matched() {
        let request = built("Example.com", A, PLAIN).unwrap();
        let good = reply(&request, 0, [&[], &[]]);
        assert_eq!(matches(&request, &good), Ok(()));
        assert_eq!(matches(&request, &good.to_ascii_lowercase()), Ok(()));
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            matches(&request, &bytes).map_err(said).unwrap_err()
        };
        assert_eq!(changed(1, 0), "transaction ID mismatch");
        assert_eq!(changed(2, 1), "not a response");
        assert_eq!(changed(2, 0x91), "unexpected operation");
        assert_eq!(changed(5, 2), "unexpected number of questions: 2");
        assert_eq!(changed(5, 0), "unexpected number of questions: 0");
        for (at, byte) in good.iter().enumerate().skip(12) {
            assert_eq!(changed(at, byte ^ 2), "question mismatch");
        }
        for cut in 0..good.len() {
            let text = if cut < 12 {
                "malformed response"
            } else {
                "question mismatch"
            };
            assert_eq!(
                matches(&request, &good[..cut]).map_err(said),
                Err(text.into())
            );
        }
        // A server that does not understand the question may leave it out.
        for (code, accepted) in [
            (0, false),
            (1, true),
            (2, true),
            (3, false),
            (4, true),
            (5, true),
        ] {
            let mut bytes = good[..12].to_vec();
            bytes[3] |= code;
            bytes[5] = 0;
            assert_eq!(matches(&request, &bytes).is_ok(), accepted, "{code}");
        }
    }

    #[test]
    fn every_type_is_read() {
        for (kind, data, expected) in [
            (A, &[1, 2, 3, 4][..], "1 ttl=256 address=[1, 2, 3, 4]"),
            (CNAME, b"\x01c\xc0\x0c", "5 ttl=256 cname=c.a.b"),
            (NS, b"\x01c\x00", "2 ttl=256 nsdname=c"),
            (PTR, b"\x00", "12 ttl=256 ptrdname="),
            (MX, b"\x01\x00\xc0\x0e", "15 ttl=256 preference=256 exchange=b"),
            (SRV, b"\x00\x01\x00\x02\x00\x03\x01t\x00", "33 ttl=256 priority=1 weight=2 port=3 target=t"),
            (TXT, b"", "16 ttl=256 txt="),
            (TXT, b"\x03one\x00\x09two", "16 ttl=256 txt=one||two"),
            (SPF, b"\x02v1", "99 ttl=256 spf=v1"),
            (257, b"raw", "257 ttl=256 rdata=[114, 97, 119]"),
            (
                SOA,
                b"\x01m\xc0\x0c\x01r\x00\xff\xff\xff\xff\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05",
                "6 ttl=256 mname=m.a.b rname=r serial=4294967295 refresh=2 retry=3 expire=4 minimum=5",
            ),
        ] {
            assert_eq!(one(kind, data), Ok(expected.into()));
        }
        assert!(one(AAAA, &[1; 16]).is_ok());
    }

    #[test]
    fn wrong_data_are_told() {
        for (kind, data, expected) in [
            (A, &[1, 2, 3][..], "invalid A record length"),
            (AAAA, &[1, 2, 3, 4], "invalid AAAA record length"),
            (CNAME, b"", "malformed cname"),
            (CNAME, b"\x01c\x00\x00", "bad cname record length"),
            (CNAME, b"\xc0\xff", "malformed cname"),
            (NS, b"\x40", "malformed nsdname"),
            (NS, b"\x00\x00", "bad nsdname record length"),
            (PTR, b"\x05", "malformed ptrdname"),
            (PTR, b"\x00\x00", "bad ptrdname record length"),
            (MX, b"\x00\x01", "bad MX record value length"),
            (MX, b"\x00\x01\x09", "malformed mx exchange"),
            (MX, b"\x00\x01\x00\x00", "bad mx record length"),
            (
                SRV,
                b"\x00\x01\x00\x02\x00\x03",
                "bad SRV record value length",
            ),
            (SRV, b"\x00\x01\x00\x02\x00\x03\x05", "malformed srv target"),
            (
                SRV,
                b"\x00\x01\x00\x02\x00\x03\x00\x00",
                "bad srv record length",
            ),
            (SOA, b"\x09", "malformed soa mname"),
            (SOA, b"\x00\x09", "malformed soa rname"),
            (SOA, b"\x00\x00\x00", "bad SOA record value length"),
            (SOA, &[0; 23], "bad SOA record length"),
            (OPT, b"", "malformed resource record header"),
        ] {
            assert_eq!(one(kind, data), Err(expected.into()), "{kind} {data:?}");
        }
    }

    #[test]
    fn headers_are_judged_in_order() {
        let request = built("a.b", A, PLAIN).unwrap();
        for (code, text) in [
            (1, "format error"),
            (2, "server failure"),
            (3, "name error"),
            (4, "not implemented"),
            (5, "refused"),
            (6, "unknown error code: 6"),
            (15, "unknown error code: 15"),
        ] {
            let mut bytes = reply(&request, code, [&[], &[]]);
            assert_eq!(read(&bytes), Err(text.into()));
            bytes[2] |= 2;
            assert_eq!(read(&bytes), Err("truncated".into()));
        }
        let mut bytes = reply(&request, 0, [&[], &[]]);
        assert_eq!(read(&bytes), Ok(vec![]));
        bytes[20] = 3;
        assert_eq!(
            read(&bytes),
            Err("unknown query class 3 in DNS response".into())
        );
        bytes[5] = 2;
        assert_eq!(
            read(&bytes),
            Err("unexpected number of questions: 2".into())
        );
    }

    /// One reply with most of what there is.
    fn full() -> Vec<u8> {
        let request = built("a.b", A, PLAIN).unwrap();
        let soa = b"\x00\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        reply(
            &request,
            0,
            [
                &[
                    (CNAME, b"\x01c\xc0\x0c"),
                    (A, &[1, 2, 3, 4]),
                    (AAAA, &[1; 16]),
                    (MX, b"\x01\x00\xc0\x0e"),
                    (SRV, b"\x00\x01\x00\x02\x00\x03\x01t\x00"),
                    (TXT, b"\x03one\x03two"),
                    (SOA, soa),
                ],
                &[],
            ],
        )
    }

    #[test]
    fn no_part_of_a_reply_is_a_reply() {
        let bytes = full();
        assert_eq!(read(&bytes).unwrap().len(), 7);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
            assert_eq!(lifetime(&bytes[..cut]), 0, "{cut}");
        }
    }

    #[test]
    fn no_byte_of_a_reply_brings_it_down() {
        let bytes = full();
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                let _ = read(&bytes);
                lifetime(&bytes);
                let _ = matches(&bytes, &bytes);
            }
        }
    }

    #[test]
    fn work_is_bounded() {
        // As many records as fit, each named by the longest chain of pointers.
        let request = built("a.b", A, PLAIN).unwrap();
        let mut bytes = reply(&request, 0, [&[], &[]]);
        let mut last = 12;
        while bytes.len() < 0x3000 {
            let here = bytes.len();
            bytes.extend([0xc0 | (last >> 8) as u8, last as u8]);
            last = here;
        }
        assert_eq!(name::skip(&bytes, last), None);
        let near = 21 + 2 * 125;
        assert_eq!(name::skip(&bytes, near), Some(near + 2));
    }

    #[test]
    fn lifetimes() {
        let request = built("a.b", A, PLAIN).unwrap();
        let mut soa = *b"\x00\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        let address: &[u8] = &[1, 2, 3, 4];
        let answered = reply(&request, 0, [&[(A, address), (A, address)], &[]]);
        assert_eq!(lifetime(&answered), 256);
        let with = |ttl: [u8; 4]| {
            let mut bytes = answered.clone();
            bytes[27..31].copy_from_slice(&ttl);
            lifetime(&bytes)
        };
        assert_eq!(with([0, 0, 0, 9]), 9);
        assert_eq!(with([0, 0, 0, 0]), 0);
        assert_eq!(with([0x7f, 0, 0, 0]), 256);
        assert_eq!(with([0x80, 0, 0, 9]), 0);
        // What does not exist lives as the zone says, if it says.
        for code in [0, 3] {
            assert_eq!(lifetime(&reply(&request, code, [&[], &[]])), 0);
            assert_eq!(lifetime(&reply(&request, code, [&[], &[(SOA, &soa)]])), 5);
        }
        assert_eq!(
            lifetime(&reply(
                &request,
                3,
                [&[(CNAME, b"\x01c\x00")], &[(SOA, &soa)]]
            )),
            5
        );
        soa[20] = 1;
        assert_eq!(lifetime(&reply(&request, 3, [&[], &[(SOA, &soa)]])), 256);
        for code in [1, 2, 4, 5, 6] {
            assert_eq!(lifetime(&reply(&request, code, [&[(A, address)], &[]])), 0);
        }
        let mut truncated = answered.clone();
        truncated[2] |= 2;
        assert_eq!(lifetime(&truncated), 0);
    }
}
