//! What a host needs while it joins: the script, and how the server sees the agent that it started.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::AgentPlane;
use super::entry::spread_wait;
use crate::app::identities::Speaker;
use crate::app::join::{Joining, System};
use crate::fleet::ids::InstanceUid;
use crate::http::{Body, Problem, Request, Response, json, problem};

/// The bucket of an agent's questions about itself; no agent has this uid.
const QUESTIONS: InstanceUid = InstanceUid([0; 16]);

impl AgentPlane {
    /// The join script, for the address under which the host found us: that one works for it, and is in our certificate.
    pub(super) fn join_script(&self, request: &Request, system: System) -> Result<Response, Problem> {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let joining = host.and_then(|host| {
            // A client leaves the port out where it is the scheme's own.
            Joining::at(host, &self.settings.ca_pem)
                .or_else(|_| Joining::new(host, 443, &self.settings.ca_pem))
                .ok()
        });
        let Some(joining) = joining else {
            let why = "the Host header has to name this server, as in muster.example.com:4320";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "host", why));
        };
        let mut response = Response::new(Body::full(Bytes::from(joining.script(system))));
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// How we see the agent that asks. A credential of many speaks for none of them.
    pub(super) fn standing(&self, request: &Request, address: Option<IpAddr>) -> Result<Response, Problem> {
        let speaker = self.asking(request, address)?;
        match self.app.own_standing(&speaker) {
            Some(standing) => Ok(json::response(StatusCode::OK, &standing)),
            None => Err(problem::not_found()),
        }
    }

    /// Another credential for the files of the host that asks with the present one.
    pub(super) async fn rewrite(
        &self,
        request: &Request,
        address: Option<IpAddr>,
    ) -> Result<Response, Problem> {
        let speaker = self.asking(request, address)?;
        let app = Arc::clone(&self.app);
        let made = self
            .to_the_end(async move { app.rewrite_credential(&speaker).await })
            .await?
            .map_err(|error| super::enrol::problem(&error))?;
        Ok(json::response(StatusCode::CREATED, &made))
    }

    /// Who asks about itself, if not too often.
    fn asking(&self, request: &Request, address: Option<IpAddr>) -> Result<Speaker, Problem> {
        let speaker = self.authenticate(request, address)?;
        let now = self.app.clock().now();
        if !self.throttle.takes(&speaker.credential, Some(QUESTIONS), now) {
            let why = "this agent asks too often";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", why);
            return Err(problem.retry_after(spread_wait()));
        }
        Ok(speaker)
    }
}
