//! JSON: no input panics, problems lie in the text, and what is read comes back from what is written of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::json::reader::{read, unescape, Builder, Number, Place, Text};
use lua_eco::json::writer;
use lua_eco::system::number::{write_float, LONGEST_FLOAT};

/// Writes what it is told.
#[derive(Default)]
struct Copy {
    text: Vec<u8>,
    places: Vec<Place>,
    escapes_slash: bool,
}

impl Copy {
    fn place(&self) -> Place {
        self.places.last().copied().unwrap_or(Place::Top)
    }

    fn comma(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(b"[") && !self.text.ends_with(b"{") {
            self.text.push(b',');
        }
    }

    /// What stands before a value.
    fn before(&mut self) {
        if self.place() == Place::Array {
            self.comma();
        }
    }

    fn text(&mut self, text: Text<'_>) -> Result<(), usize> {
        let mut room = vec![0; text.raw.len()];
        let length = unescape(text.raw, &mut room)?;
        assert_eq!(unescape(text.raw, &mut []), Ok(length));
        assert!(text.escaped || room == text.raw);
        writer::string(&mut self.text, &room[..length], self.escapes_slash).unwrap();
        Ok(())
    }
}

impl Builder for Copy {
    fn literal(&mut self, value: Option<bool>) {
        self.before();
        self.text.extend_from_slice(match value {
            None => b"null",
            Some(true) => b"true",
            Some(false) => b"false",
        });
    }

    fn number(&mut self, value: Number<'_>) -> bool {
        self.before();
        match value {
            Number::Integer(value) => writer::integer(&mut self.text, value).unwrap(),
            Number::Float(value) if value == 0.0 && value.is_sign_negative() => {
                self.text.extend_from_slice(b"-0.0");
            }
            Number::Float(value) if value.is_finite() => {
                if !writer::short_float(&mut self.text, value, 17).unwrap() {
                    let mut digits = [0; LONGEST_FLOAT];
                    let length = write_float(value, 17, &mut digits);
                    self.text.extend_from_slice(&digits[..length]);
                }
            }
            Number::Float(value) if value.is_nan() => self.text.extend_from_slice(b"NaN"),
            Number::Float(value) if value > 0.0 => self.text.extend_from_slice(b"Infinity"),
            Number::Float(_) => self.text.extend_from_slice(b"-Infinity"),
            Number::Text(text) => {
                assert!(std::str::from_utf8(text).unwrap().parse::<f64>().is_ok());
                self.text.extend_from_slice(text);
            }
            Number::Odd(text) => self.text.extend_from_slice(text),
        }
        true
    }

    fn string(&mut self, text: Text<'_>) -> Result<(), usize> {
        self.before();
        self.text(text)
    }

    fn key(&mut self, text: Text<'_>) -> Result<(), usize> {
        self.comma();
        self.text(text)?;
        self.text.push(b':');
        Ok(())
    }

    fn begin_array(&mut self) -> bool {
        self.before();
        self.text.push(b'[');
        self.places.push(Place::Array);
        self.places.len() <= 100
    }

    fn begin_object(&mut self) -> bool {
        self.before();
        self.text.push(b'{');
        self.places.push(Place::Object);
        self.places.len() <= 100
    }

    fn leave(&mut self) -> Place {
        let end = match self.places.pop() {
            Some(Place::Array) => b']',
            Some(Place::Object) => b'}',
            _ => panic!("left what was not entered"),
        };
        self.text.push(end);
        self.place()
    }
}

fuzz_target!(|input: &[u8]| {
    for odd_numbers in [false, true] {
        let mut first = Copy::default();
        match read(input, odd_numbers, &mut first) {
            Ok(()) => {
                assert!(first.places.is_empty());
                let mut second = Copy {
                    escapes_slash: true,
                    ..Copy::default()
                };
                read(&first.text, odd_numbers, &mut second).unwrap();
                let mut third = Copy::default();
                read(&second.text, odd_numbers, &mut third).unwrap();
                assert_eq!(first.text, third.text);
            }
            Err(problem) => assert!(problem.at <= input.len()),
        }
    }
});
