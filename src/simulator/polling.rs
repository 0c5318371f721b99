//! A simulated agent that polls over HTTP.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};

use super::agent::{Act, Happening};
use super::life::{Ended, Life, Order, Orders, next};
use super::link::{HttpLink, LinkError};
use crate::opamp::body::MEDIA_TYPE;

/// Polls until told otherwise. Connections come and go underneath: they mean nothing in this transport.
pub(super) async fn session(life: &mut Life, orders: &mut Orders) -> Ended {
    let mut link = None;
    let mut acts = VecDeque::from(life.happens(Happening::Connected));
    loop {
        while let Some(act) = acts.pop_front() {
            match act {
                Act::Send { message, kind } => {
                    life.sends(message.len(), kind);
                    match deliver(life, &mut link, message.into(), orders).await {
                        Ok(answer) => acts.extend(answer),
                        Err(ended) => return ended,
                    }
                }
                Act::Vanish(away) => return Ended::Away(away),
                Act::FallSilent => {
                    life.falls_silent();
                    life.set_online(false);
                    return Ended::Ordered(next(orders).await);
                }
                Act::Note(_) => {}
            }
        }
        let time = life.world.time;
        tokio::select! {
            biased;
            order = next(orders) => {
                if let Order::Stop { goodbye: true } = order {
                    say_goodbye(life, &mut link).await;
                }
                return Ended::Ordered(order);
            }
            () = time.until(life.agent.due()) => acts.extend(life.happens(Happening::Time)),
        }
    }
}

/// Posts a message until it is answered, or refused for good: then it is lost.
async fn deliver(
    life: &mut Life,
    link: &mut Option<HttpLink>,
    message: Bytes,
    orders: &mut Orders,
) -> Result<Vec<Act>, Ended> {
    loop {
        let error = match Box::pin(post(life, link, message.clone())).await {
            Ok(answer) => match life.hears(&answer) {
                Ok(acts) => return Ok(acts),
                Err(error) => error,
            },
            Err(error) => error,
        };
        life.set_online(false);
        let wait = life.wait_after(&error);
        let again = match error {
            LinkError::Refused { status, .. } => {
                matches!(
                    status,
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
                )
            }
            LinkError::NotUnderstood => false,
            LinkError::Connect(..) | LinkError::Tls(_) | LinkError::Broken(_) | LinkError::TimedOut => true,
        };
        tokio::select! {
            biased;
            order = next(orders) => return Err(Ended::Ordered(order)),
            () = tokio::time::sleep(wait) => {}
        }
        if !again {
            return Ok(Vec::new());
        }
    }
}

async fn post(life: &mut Life, link: &mut Option<HttpLink>, message: Bytes) -> Result<Bytes, LinkError> {
    let credential = {
        let world = Arc::clone(&life.world);
        let Ok(_permit) = world.permits.acquire().await else {
            return Err(LinkError::TimedOut);
        };
        life.credential().await?
    };
    // A connection that was kept may have been closed meanwhile: that is no failure.
    if let Some(kept) = link {
        match exchange(life, kept, &credential, message.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(refused @ LinkError::Refused { .. }) => return Err(refused),
            Err(_) => *link = None,
        }
    }
    let world = Arc::clone(&life.world);
    let mut opened = {
        let Ok(_permit) = world.permits.acquire().await else {
            return Err(LinkError::TimedOut);
        };
        life.begins();
        HttpLink::open(&world.target, life.source()).await?
    };
    life.connected();
    let answer = exchange(life, &mut opened, &credential, message).await?;
    *link = Some(opened);
    Ok(answer)
}

async fn exchange(
    life: &Life,
    link: &mut HttpLink,
    credential: &str,
    message: Bytes,
) -> Result<Bytes, LinkError> {
    let mut headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
    if let Ok(uid) = HeaderValue::try_from(life.agent.uid().to_string()) {
        headers.push((HeaderName::from_static("opamp-instance-uid"), uid));
    }
    let target = &life.world.target;
    let answer = link
        .post(target, "/v1/opamp", credential, &headers, message)
        .await?;
    if answer.status() == StatusCode::OK {
        Ok(answer.into_body())
    } else {
        Err(LinkError::refused(answer.status(), answer.headers()))
    }
}

async fn say_goodbye(life: &mut Life, link: &mut Option<HttpLink>) {
    for act in life.happens(Happening::Leaving) {
        if let Act::Send { message, kind } = act {
            life.sends(message.len(), kind);
            // The server is told or not: the agent leaves.
            let _ = post(life, link, message.into()).await;
        }
    }
}
