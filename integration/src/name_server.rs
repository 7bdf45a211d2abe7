//! A scripted name server: answers over UDP what a test tells it to, and tells something else whenever the test does.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Seconds for which an answer may be kept; whoever keeps it for so long shows in a test.
const TTL: u32 = 3600;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    Well,
    /// It answers SERVFAIL to everything.
    Failing,
    /// It does not answer at all.
    Silent,
}

#[derive(Debug)]
struct Zone {
    mood: Mood,
    asked: usize,
    records: HashMap<Name, Vec<RData>>,
}

/// A name server on a free port of 127.0.0.1; gone when dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    task: JoinHandle<()>,
}

impl NameServer {
    /// Starts it; it knows no names yet.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let zone =
            Arc::new(Mutex::new(Zone { mood: Mood::Well, asked: 0, records: HashMap::new() }));
        let task = tokio::spawn(serve(socket, zone.clone()));
        Ok(Self { address, zone, task })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions it has heard.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    /// Changes how it behaves.
    pub fn set_mood(&self, mood: Mood) {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).mood = mood;
    }

    /// A host name has these addresses from now on; without any it does not exist.
    ///
    /// # Errors
    /// When it is no name.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) -> Result<()> {
        self.set(name, addresses.iter().copied().map(RData::from).collect())
    }

    /// A service is offered from now on at (priority, weight, port, host).
    ///
    /// # Errors
    /// When one of them is no name.
    pub fn set_services(&self, name: &str, services: &[(u16, u16, u16, &str)]) -> Result<()> {
        let records = services.iter().map(|&(priority, weight, port, host)| {
            Ok(RData::SRV(SRV::new(priority, weight, port, absolute(host)?)))
        });
        self.set(name, records.collect::<Result<_>>()?)
    }

    fn set(&self, name: &str, records: Vec<RData>) -> Result<()> {
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        zone.records.insert(absolute(name)?, records);
        Ok(())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn absolute(name: &str) -> Result<Name> {
    let mut name = Name::from_utf8(name).with_context(|| format!("{name} is no name"))?;
    name.set_fqdn(true);
    Ok(name)
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, asker)) = socket.recv_from(&mut buffer).await {
        let answer = {
            let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
            zone.asked += 1;
            answer(&buffer[..length], &zone)
        };
        if let Some(answer) = answer {
            // Whoever has asked may be gone.
            let _ = socket.send_to(&answer, asker).await;
        }
    }
}

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let known = zone.records.get(query.name()).filter(|records| !records.is_empty());
    answer.metadata.response_code = match (zone.mood, known) {
        (Mood::Silent, _) => return None,
        (Mood::Failing, _) => ResponseCode::ServFail,
        (Mood::Well, None) => ResponseCode::NXDomain,
        (Mood::Well, Some(records)) => {
            let of_type = records.iter().filter(|data| data.record_type() == query.query_type());
            let record = |data: &RData| Record::from_rdata(query.name().clone(), TTL, data.clone());
            answer.add_answers(of_type.map(record));
            ResponseCode::NoError
        }
    };
    answer.to_vec().ok()
}
