//! The client: what the user has set, and the registries that were met.

use crate::credential::{Credentials, Login, NoCredentials};
use crate::error::{Error, Kind, Result};
use crate::http::{Ask, Http, Patience};
use crate::proxy::Proxies;
use crate::repository::Repository;
use crate::settings::{Endpoint, Settings};
use crate::site::{Scope, Site};
use crate::trust::Trust;
use oci::Reference;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use ureq::http::Method;

/// What a client is made of.
pub struct Setup {
    /// `registries.toml`.
    pub settings: Settings,
    /// Certificates.
    pub trust: Trust,
    /// Proxies of the environment.
    pub proxies: Proxies,
    /// Logins.
    pub credentials: Box<dyn Credentials>,
    /// Time limits.
    pub patience: Patience,
}

impl Default for Setup {
    fn default() -> Self {
        let (settings, trust, proxies) = (Settings::default(), Trust::default(), Proxies::default());
        Self { settings, trust, proxies, credentials: Box::new(NoCredentials), patience: Patience::default() }
    }
}

/// Talks to registries. May be shared by threads.
pub struct Client {
    settings: Settings,
    credentials: Box<dyn Credentials>,
    http: Arc<Http>,
    sites: Mutex<HashMap<(String, bool), Arc<Site>>>,
}

/// One hit of a search.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// The repository.
    pub name: String,
    /// One line about it.
    #[serde(default)]
    pub description: String,
    /// How many like it.
    #[serde(default)]
    pub star_count: u64,
    /// Whether docker.io's owners keep it.
    #[serde(default)]
    pub is_official: bool,
    /// Whether docker.io builds it.
    #[serde(default)]
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Hits {
    #[serde(default)]
    results: Vec<Found>,
}

/// The catalogue of a registry is read no further, names.
const CATALOG_MAX: usize = 100_000;

impl Client {
    /// A client that has met nobody yet.
    pub fn new(setup: Setup) -> Self {
        let http = Arc::new(Http::new(setup.trust, setup.proxies, setup.patience));
        Self { settings: setup.settings, credentials: setup.credentials, http, sites: Mutex::default() }
    }

    /// What the user has set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A repository, wherever it may be had. Blocked ones are refused; nobody is asked yet.
    pub fn repository(&self, name: &Reference) -> Result<Repository<'_>> {
        Ok(Repository::new(self, name.clone(), self.settings.endpoints(name)?))
    }

    /// Tries a login out. A token that stands for the password from now on, if the registry gives one.
    pub fn log_in(&self, host: &str, login: Login) -> Result<Option<Login>> {
        let endpoint = self.endpoint(host)?;
        let site = Site::open(self.http.clone(), &endpoint.host, endpoint.insecure, &NoCredentials)?
            .with_login(login);
        Ok(site.log_in()?.map(|token| Login::Identity { token }))
    }

    /// Repositories whose name has `term`: docker.io's search, or the catalogue of a registry that offers one.
    pub fn search(&self, host: &str, term: &str, limit: usize) -> Result<Vec<Found>> {
        let what = format!("search `{host}`");
        let endpoint = self.endpoint(host)?;
        if host == "docker.io" {
            let query =
                format!("https://index.docker.io/v1/search?q={}&n={limit}", crate::token::encode(term));
            let answer = self.http.ask(&Ask::new(Method::GET, query, false), &what)?;
            return hits(answer, &what);
        }
        let site = self.site(&endpoint)?;
        let query = format!("{}/v1/search?q={}&n={limit}", site.base, crate::token::encode(term));
        let answer = site.ask(&Ask::new(Method::GET, query, site.insecure), &Scope::new(), &what)?;
        if answer.status == 200 {
            return hits(answer, &what);
        }
        answer.finish();
        let names = self.catalog_of(&site, &what)?;
        let named = names.into_iter().filter(|name| name.contains(term)).take(limit);
        Ok(named
            .map(|name| Found {
                name,
                description: String::new(),
                star_count: 0,
                is_official: false,
                is_automated: false,
            })
            .collect())
    }

    /// The names of a registry's repositories, where it tells them.
    pub fn catalog(&self, host: &str) -> Result<Vec<String>> {
        let site = self.site(&self.endpoint(host)?)?;
        self.catalog_of(&site, &format!("list the repositories of `{host}`"))
    }

    fn catalog_of(&self, site: &Site, what: &str) -> Result<Vec<String>> {
        let scope = vec!["registry:catalog:*".to_owned()];
        crate::repository::pages(site, "/v2/_catalog?n=1000", "repositories", &scope, CATALOG_MAX, what)
    }

    fn endpoint(&self, host: &str) -> Result<Endpoint> {
        let name: Reference =
            format!("{host}/x").parse().map_err(|error: oci::Error| error.map_kind(|_| Kind::Invalid))?;
        let own = self.settings.endpoints(&name)?.pop();
        let own = own.ok_or_else(|| Error::new(Kind::Invalid, format!("`{host}` is no registry")))?;
        Ok(own)
    }

    /// The registry behind an endpoint, asked once what it wants.
    pub(crate) fn site(&self, endpoint: &Endpoint) -> Result<Arc<Site>> {
        let key = (endpoint.host.clone(), endpoint.insecure);
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = sites.get(&key) {
            return Ok(site.clone());
        }
        let site =
            Arc::new(Site::open(self.http.clone(), &endpoint.host, endpoint.insecure, &*self.credentials)?);
        sites.insert(key, site.clone());
        Ok(site)
    }
}

fn hits(answer: crate::answer::Answer, what: &str) -> Result<Vec<Found>> {
    if answer.status != 200 {
        return Err(crate::error::refusal(answer, what));
    }
    let bytes = answer.bytes(crate::repository::DOCUMENT_MAX);
    let bytes = bytes.map_err(|error| Error::new(Kind::Unreachable, what).caused_by(error))?;
    let bytes = bytes.ok_or_else(|| Error::new(Kind::Limit, format!("{what}: too long an answer")))?;
    let hits: Hits =
        serde_json::from_slice(&bytes).map_err(|error| Error::new(Kind::Refused, what).caused_by(error))?;
    Ok(hits.results)
}
