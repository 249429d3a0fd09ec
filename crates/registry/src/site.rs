//! One registry as it presents itself: scheme, challenge, tokens.

use crate::answer::Answer;
use crate::challenge::Challenge;
use crate::credential::{Credentials, Login, server_of};
use crate::error::{Error, Kind, Result, from_ureq, refusal, speaks_no_tls};
use crate::http::{Ask, Http};
use crate::token::{self, Token, Wish};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use ureq::http::Method;

/// A registry that answers at `/v2/`.
pub(crate) struct Site {
    http: Arc<Http>,
    /// Scheme, host and port.
    pub(crate) base: String,
    pub(crate) insecure: bool,
    challenge: Mutex<Option<Challenge>>,
    login: Option<Login>,
    tokens: Mutex<HashMap<String, Token>>,
}

/// What one wants to do in a repository: `repository:NAME:pull,push`.
pub(crate) type Scope = Vec<String>;

impl Site {
    /// Asks at `/v2/` what is wanted. One that need not prove who it is is asked by TLS first, then without.
    pub(crate) fn open(
        http: Arc<Http>,
        host: &str,
        insecure: bool,
        credentials: &dyn Credentials,
    ) -> Result<Self> {
        let what = format!("reach registry `{host}`");
        let login = credentials.of(&server_of(host))?;
        let ping = |scheme: &str| Ask::new(Method::GET, format!("{scheme}://{host}/v2/"), insecure);
        let mut scheme = "https";
        let answer = match insecure {
            false => http.ask(&ping(scheme), &what)?,
            true => match http.once(&ping(scheme), &what)? {
                Ok(_) => http.ask(&ping(scheme), &what)?,
                Err(error) if speaks_no_tls(&error) => {
                    scheme = "http";
                    http.ask(&ping(scheme), &what)?
                }
                Err(error) => return Err(from_ureq(error, &what)),
            },
        };
        let challenge = challenge_of(&answer);
        answer.finish();
        let base = format!("{scheme}://{host}");
        Ok(Self { http, base, insecure, challenge: Mutex::new(challenge), login, tokens: Mutex::default() })
    }

    /// The same with another login, to try it out.
    pub(crate) fn with_login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// A request of the registry's; asked again where that may help, once with what it wants to see.
    pub(crate) fn ask(&self, ask: &Ask, scope: &Scope, what: &str) -> Result<Answer> {
        let answer = self.http.ask(&self.signed(ask, scope)?, what)?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.learn(&answer, scope);
        let first = answer;
        let again = self.signed(ask, scope)?;
        if !again.headers.iter().any(|(name, _)| *name == "authorization") {
            return Ok(first);
        }
        first.finish();
        self.http.ask(&again, what)
    }

    /// Likewise, where only success is an answer.
    pub(crate) fn expect(&self, ask: &Ask, scope: &Scope, statuses: &[u16], what: &str) -> Result<Answer> {
        let answer = self.ask(ask, scope, what)?;
        if statuses.contains(&answer.status) { Ok(answer) } else { Err(self.refused(answer, what)) }
    }

    /// Sends what `body` has, in one try.
    pub(crate) fn send(
        &self,
        ask: &Ask,
        scope: &Scope,
        body: &mut dyn Read,
        length: Option<u64>,
        what: &str,
    ) -> Result<Answer> {
        self.http.stream(&self.signed(ask, scope)?, body, length, what)
    }

    /// What an answer means that is no success.
    pub(crate) fn refused(&self, answer: Answer, what: &str) -> Error {
        let error = refusal(answer, what);
        match (error.kind(), &self.login) {
            (Kind::Denied, None) => error.with_hint(format!("`hull login {}` may help", self.host())),
            _ => error,
        }
    }

    pub(crate) fn host(&self) -> &str {
        self.base.split_once("://").map_or(&self.base, |(_, host)| host)
    }

    /// How long to rest after so many tries.
    pub(crate) fn rest(&self, tried: u32) -> Option<std::time::Duration> {
        (tried < self.http.patience.tries).then(|| self.http.rest(tried))
    }

    /// Takes up what a refusal asks for, and forgets the token that was not good enough.
    fn learn(&self, answer: &Answer, scope: &Scope) {
        let challenge = challenge_of(answer);
        if challenge.is_some() {
            *lock(&self.challenge) = challenge;
        }
        lock(&self.tokens).remove(&scope.join(" "));
    }

    /// The request with what the registry wants to see, if it goes to the registry itself.
    fn signed(&self, ask: &Ask, scope: &Scope) -> Result<Ask> {
        let ask = ask.clone();
        if crate::http::authority(&ask.url) != crate::http::authority(&self.base) {
            return Ok(ask);
        }
        Ok(match self.authorization(scope)? {
            Some(value) => ask.with("authorization", value),
            None => ask,
        })
    }

    fn authorization(&self, scope: &Scope) -> Result<Option<String>> {
        let challenge = lock(&self.challenge).clone();
        match (challenge, &self.login) {
            (None, _) | (Some(Challenge::Basic), None | Some(Login::Identity { .. })) => Ok(None),
            (Some(Challenge::Basic), Some(Login::Password { user, password })) => {
                Ok(Some(token::basic(user, password)))
            }
            (Some(Challenge::Bearer(bearer)), _) => {
                let token = self.token(&bearer, scope, false)?;
                Ok(Some(format!("Bearer {}", token.value)))
            }
        }
    }

    fn token(&self, bearer: &crate::challenge::Bearer, scope: &Scope, offline: bool) -> Result<Token> {
        let key = scope.join(" ");
        let mut tokens = lock(&self.tokens);
        if let Some(token) = tokens.get(&key).filter(|token| token.until > Instant::now() && !offline) {
            return Ok(token.clone());
        }
        let asked = bearer.scope.iter().filter(|asked| scope.is_empty() && !asked.is_empty()).cloned();
        let scopes: Vec<String> = scope.iter().cloned().chain(asked).collect();
        let login = self.login.as_ref();
        let token = token::fetch(
            &self.http,
            &Wish { bearer, scopes: &scopes, login, insecure: self.insecure, offline },
        )?;
        tokens.insert(key, token.clone());
        Ok(token)
    }

    /// Whether the login is good, as `docker login` tries it; a token that stands for the password, if the service gives one.
    pub(crate) fn log_in(&self) -> Result<Option<String>> {
        let what = format!("log in to `{}`", self.host());
        let challenge = lock(&self.challenge).clone();
        let refresh = match &challenge {
            Some(Challenge::Bearer(bearer)) => self.token(bearer, &Scope::new(), true)?.refresh,
            _ => None,
        };
        let ask = Ask::new(Method::GET, format!("{}/v2/", self.base), self.insecure);
        self.expect(&ask, &Scope::new(), &[200], &what)?.finish();
        Ok(refresh)
    }
}

fn challenge_of(answer: &Answer) -> Option<Challenge> {
    if answer.status != 401 {
        return None;
    }
    let values = answer.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
    Challenge::parse(&values.collect::<Vec<_>>().join(", "))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
