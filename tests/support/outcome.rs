//! What came out of a run, and its comparison with what was expected.

use std::fmt;
use std::time::SystemTime;

/// The end of one run.
pub struct Outcome {
    /// None when the run took too long and was killed.
    pub status: Option<i32>,
    pub ended: SystemTime,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => writeln!(formatter, "status {status}")?,
            None => writeln!(formatter, "killed: it took too long")?,
        }
        write!(
            formatter,
            "--- stdout\n{}\n--- stderr\n{}\n---",
            self.stdout, self.stderr
        )
    }
}

/// What one stream must hold; nothing at all, unless said otherwise.
#[derive(Clone, Default)]
pub struct Text {
    whole: Option<String>,
    parts: Vec<String>,
}

impl Text {
    pub fn equal(&mut self, text: &str) {
        self.whole = Some(text.to_owned());
    }

    pub fn contain(&mut self, text: &str) {
        self.parts.push(text.to_owned());
    }

    fn check(&self, title: &str, stream: &str, actual: &str, outcome: &Outcome) {
        if let Some(missing) = self
            .parts
            .iter()
            .find(|part| !actual.contains(part.as_str()))
        {
            panic!("{title}: {stream} lacks {missing:?}\n{outcome}");
        }
        if self.whole.is_some() || self.parts.is_empty() {
            let whole = self.whole.as_deref().unwrap_or_default();
            assert!(
                actual == whole,
                "{title}: {stream} should be {whole:?}\n{outcome}"
            );
        }
    }
}

/// All expectations on one run.
#[derive(Clone, Default)]
pub struct Expected {
    pub stdout: Text,
    pub stderr: Text,
    pub status: i32,
}

impl Expected {
    pub fn check(&self, title: &str, outcome: &Outcome) {
        assert!(
            outcome.status.is_some(),
            "{title}: killed after its time limit\n{outcome}"
        );
        assert!(
            outcome.status == Some(self.status),
            "{title}: status should be {}\n{outcome}",
            self.status
        );
        self.stdout.check(title, "stdout", &outcome.stdout, outcome);
        self.stderr.check(title, "stderr", &outcome.stderr, outcome);
    }
}
