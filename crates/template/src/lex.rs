//! Text to tokens, as text/template's lexer cuts it: what stands between actions, and the words of actions.
//!
//! A mistake is a token too, the last: it counts only when the parser comes that far.

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
const LEFT: &str = "{{";
const RIGHT: &str = "}}";
/// `-` and the white space beside it.
const TRIM: usize = 2;
const DECIMAL: &str = "0123456789_";

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Eof,
    Text,
    Left,
    Right,
    Space,
    Bool,
    Number,
    /// `'a'`
    Rune,
    /// `"a"`
    Quoted,
    /// `` `a` ``
    Raw,
    /// `.a`
    Field,
    /// `$a`
    Variable,
    Identifier,
    Open,
    Close,
    Pipe,
    Assign,
    Declare,
    /// Any other printable character.
    Char,
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// Bytes from the template's start.
    pub(crate) pos: usize,
    /// From 1.
    pub(crate) line: usize,
}

impl Kind {
    fn of_word(word: &str) -> Self {
        match word {
            "true" | "false" => Self::Bool,
            "nil" => Self::Nil,
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "range" => Self::Range,
            "template" => Self::Template,
            "with" => Self::With,
            _ => Self::Identifier,
        }
    }

    pub(crate) fn is_keyword(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Dot | Nil | Block | Break | Continue | Define | Else | End | If | Range | Template | With
        )
    }
}

/// All tokens; the last is `Eof` or `Error`.
pub(crate) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, pos: 0, start: 0, parens: 0, counted: (0, 1), tokens: Vec::new() };
    let (kind, text) = match lexer.template() {
        Ok(()) => (Kind::Eof, String::new()),
        Err(why) => (Kind::Error, why),
    };
    lexer.push(kind, text);
    lexer.tokens
}

struct Lexer<'t> {
    text: &'t str,
    pos: usize,
    /// Of the token that is being read.
    start: usize,
    parens: usize,
    /// A place and its line, from which the next is counted.
    counted: (usize, usize),
    tokens: Vec<Token>,
}

type Read = Result<(), String>;

impl Lexer<'_> {
    fn template(&mut self) -> Read {
        while let Some(at) = self.rest().find(LEFT) {
            let trims = trims_left(&self.rest()[at + LEFT.len()..]);
            let text = &self.rest()[..at];
            let kept = if trims { text.trim_end_matches(SPACES) } else { text }.to_owned();
            if !kept.is_empty() {
                self.push(Kind::Text, kept);
            }
            self.pos += at;
            self.start = self.pos;
            self.left(if trims { TRIM } else { 0 })?;
        }
        self.pos = self.text.len();
        if self.start < self.pos {
            self.emit(Kind::Text);
        }
        Ok(())
    }

    fn left(&mut self, marker: usize) -> Read {
        self.pos += LEFT.len();
        if self.rest()[marker..].starts_with("/*") {
            self.pos += marker;
            return self.comment();
        }
        self.emit(Kind::Left);
        self.pos += marker;
        self.start = self.pos;
        self.action()
    }

    fn comment(&mut self) -> Read {
        let length = self.rest().find("*/").ok_or("unclosed comment")?;
        self.pos += length + "*/".len();
        let trims = self.at_right().ok_or("comment ends before closing delimiter")?;
        self.pass_right(trims, None);
        Ok(())
    }

    fn action(&mut self) -> Read {
        self.parens = 0;
        loop {
            match self.at_right() {
                None => self.token()?,
                Some(_) if self.parens > 0 => return Err("unclosed left paren".into()),
                Some(trims) => {
                    self.pass_right(trims, Some(Kind::Right));
                    return Ok(());
                }
            }
        }
    }

    /// Whether `}}` is next, and whether it takes the white space behind it.
    fn at_right(&self) -> Option<bool> {
        let rest = self.rest();
        let trims = rest.starts_with(SPACES) && rest[1..].starts_with('-') && rest[TRIM..].starts_with(RIGHT);
        (trims || rest.starts_with(RIGHT)).then_some(trims)
    }

    fn pass_right(&mut self, trims: bool, kind: Option<Kind>) {
        self.pos += if trims { TRIM } else { 0 };
        self.start = self.pos;
        self.pos += RIGHT.len();
        if let Some(kind) = kind {
            self.emit(kind);
        }
        if trims {
            self.pos += self.rest().len() - self.rest().trim_start_matches(SPACES).len();
        }
        self.start = self.pos;
    }

    fn token(&mut self) -> Read {
        let Some(c) = self.next() else { return Err("unclosed action".into()) };
        match c {
            c if SPACES.contains(&c) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            '|' => self.emit(Kind::Pipe),
            ':' if self.accept("=") => self.emit(Kind::Declare),
            ':' => return Err("expected :=".into()),
            '"' => return self.quoted('"', Kind::Quoted, "unterminated quoted string"),
            '\'' => return self.quoted('\'', Kind::Rune, "unterminated character constant"),
            '`' => return self.raw(),
            '$' => return self.name(Kind::Variable, Kind::Variable),
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                return self.name(Kind::Field, Kind::Dot);
            }
            '.' | '+' | '-' | '0'..='9' => return self.number(),
            '(' => {
                self.parens += 1;
                self.emit(Kind::Open);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::Close);
            }
            c if is_word(c) => return self.word(),
            ' '..='~' => self.emit(Kind::Char),
            c => return Err(format!("unrecognized character in action: {}", shown(c))),
        }
        Ok(())
    }

    /// The last of them may belong to ` -}}`.
    fn spaces(&mut self) {
        while self.peek().is_some_and(|c| SPACES.contains(&c)) && self.at_right().is_none() {
            self.pos += 1;
        }
        self.emit(Kind::Space);
    }

    fn word(&mut self) -> Read {
        self.accept_while(is_word);
        self.terminated()?;
        self.emit(Kind::of_word(&self.text[self.start..self.pos]));
        Ok(())
    }

    /// `.a` or `$a`; the mark alone is of the other kind.
    fn name(&mut self, kind: Kind, alone: Kind) -> Read {
        let from = self.pos;
        self.accept_while(is_word);
        self.terminated()?;
        self.emit(if self.pos == from { alone } else { kind });
        Ok(())
    }

    fn terminated(&self) -> Read {
        match self.peek() {
            None => Ok(()),
            Some(c) if SPACES.contains(&c) || ".,|:)(".contains(c) => Ok(()),
            Some(_) if self.rest().starts_with(RIGHT) => Ok(()),
            Some(c) => Err(format!("bad character {}", shown(c))),
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Read {
        loop {
            match self.next() {
                Some('\\') if self.next().is_some_and(|c| c != '\n') => {}
                None | Some('\n' | '\\') => return Err(unterminated.into()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw(&mut self) -> Read {
        let length = self.rest().find('`').ok_or("unterminated raw quoted string")?;
        self.pos += length + 1;
        self.emit(Kind::Raw);
        Ok(())
    }

    /// `1+2i` is one number: that Go has it and JSON has not is for the parser to say.
    fn number(&mut self) -> Read {
        self.pos = self.start;
        let mut whole = self.scan_number();
        if whole && self.peek().is_some_and(|c| matches!(c, '+' | '-')) {
            whole = self.scan_number() && self.text[..self.pos].ends_with('i');
        }
        if !whole {
            return Err(format!("bad number syntax: {:?}", &self.text[self.start..self.pos]));
        }
        self.emit(Kind::Number);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let digits = self.digits();
        self.accept_while(|c| digits.contains(c));
        if self.accept(".") {
            self.accept_while(|c| digits.contains(c));
        }
        if digits == DECIMAL && self.accept("eE") {
            self.accept("+-");
            self.accept_while(|c| digits.contains(c));
        }
        self.accept("i");
        // Go shows the first character that does not belong.
        let ends = !self.peek().is_some_and(is_word);
        if !ends {
            self.next();
        }
        ends
    }

    /// By what the number starts with.
    fn digits(&mut self) -> &'static str {
        if !self.accept("0") {
            return DECIMAL;
        }
        match self.peek() {
            Some('x' | 'X') => self.skip("0123456789abcdefABCDEF_"),
            Some('o' | 'O') => self.skip("01234567_"),
            Some('b' | 'B') => self.skip("01_"),
            _ => DECIMAL,
        }
    }

    fn skip(&mut self, digits: &'static str) -> &'static str {
        self.pos += 1;
        digits
    }

    fn rest(&self) -> &str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn accept(&mut self, any: &str) -> bool {
        let found = self.peek().filter(|c| any.contains(*c));
        self.pos += found.map_or(0, char::len_utf8);
        found.is_some()
    }

    fn accept_while(&mut self, test: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&test) {
            self.next();
        }
    }

    fn emit(&mut self, kind: Kind) {
        self.push(kind, self.text[self.start..self.pos].to_owned());
        self.start = self.pos;
    }

    fn push(&mut self, kind: Kind, text: String) {
        let (pos, line) = self.counted;
        let line = line + self.text[pos..self.start].matches('\n').count();
        self.counted = (self.start, line);
        self.tokens.push(Token { kind, text, pos: self.start, line });
    }
}

fn trims_left(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|text| text.starts_with(SPACES))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Go's `%#U`.
fn shown(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}
