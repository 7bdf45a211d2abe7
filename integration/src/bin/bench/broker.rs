//! `bench broker`: a light scripted broker, far cheaper than any proxy in front of it.
//!
//! It speaks just enough AMQP for the cases: a handshake as RabbitMQ gives it, a sink for
//! `basic.publish`, an echo (consume from `echo`), a flood (consume from `flood-SIZE`) and the
//! close. Each line on its standard input is answered with its counters as JSON; it ends with the
//! input.

use crate::poll::Poller;
use crate::talk::{Shared, Talk};
use crate::walk::{Event, Walker};
use crate::wire;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};

const LISTENER: usize = usize::MAX;
const CONTROL: usize = usize::MAX - 1;
const READ_BUFFER: usize = 256 * 1024;

/// Serves until standard input ends.
pub(crate) fn serve() -> Result<()> {
    let listener = listen()?;
    println!("{}", listener.local_addr()?.port());
    let mut poller = Poller::new()?;
    poller.add(&listener, LISTENER, false)?;
    poller.add(std::io::stdin(), CONTROL, false)?;
    let mut broker = Broker::default();
    let mut buffer = vec![0; READ_BUFFER];
    loop {
        for ready in poller.wait(None)? {
            match ready.token {
                LISTENER => broker.accept(&listener, &poller)?,
                CONTROL => {
                    if !broker.report(&mut buffer)? {
                        return Ok(());
                    }
                }
                token => broker.serve(token, ready.readable, &poller, &mut buffer)?,
            }
        }
    }
}

fn listen() -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[derive(Default)]
struct Broker {
    connections: HashMap<usize, Connection>,
    next: usize,
    shared: Shared,
}

impl Broker {
    fn accept(&mut self, listener: &TcpListener, poller: &Poller) -> Result<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the scripted broker cannot accept"),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            poller.add(&stream, self.next, false)?;
            self.connections.insert(self.next, Connection::new(stream));
            self.next += 1;
        }
    }

    /// Answers one line of the control input; false at its end.
    fn report(&self, buffer: &mut [u8]) -> Result<bool> {
        if rustix::io::read(std::io::stdin(), &mut *buffer)? == 0 {
            return Ok(false);
        }
        println!("{}", serde_json::to_string(&self.shared.counters)?);
        Ok(true)
    }

    fn serve(
        &mut self,
        token: usize,
        readable: bool,
        poller: &Poller,
        buffer: &mut [u8],
    ) -> Result<()> {
        let Some(connection) = self.connections.get_mut(&token) else {
            return Ok(());
        };
        match connection.turn(readable, &mut self.shared, buffer) {
            Ok(true) => {
                let write = connection.talk.has_output();
                if write != connection.write {
                    connection.write = write;
                    poller.modify(&connection.stream, token, write)?;
                }
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => self.shared.failed(&error),
        }
        if connection.greeted {
            self.shared.counters.live -= 1;
        }
        self.connections.remove(&token);
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
    greeted: bool,
    /// Whether we are watching for room to write.
    write: bool,
    walker: Walker,
    talk: Talk,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            greeted: false,
            write: false,
            walker: Walker::default(),
            talk: Talk::default(),
        }
    }

    /// Reads once if there is input, then writes what there is to say; false at its end.
    fn turn(&mut self, readable: bool, shared: &mut Shared, buffer: &mut [u8]) -> Result<bool> {
        if readable {
            match self.stream.read(buffer) {
                Ok(0) => return self.ended(),
                Ok(count) => self.take(&buffer[..count], shared)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) if self.talk.closed || !self.greeted => return Ok(false),
                Err(error) => return Err(error).context("reading from a session"),
            }
        }
        self.talk.write(&mut self.stream, &mut shared.counters)?;
        Ok(true)
    }

    /// Probes that never spoke may come and go; a session must have closed.
    fn ended(&self) -> Result<bool> {
        ensure!(self.talk.closed || !self.greeted, "a session ended without connection.close");
        Ok(false)
    }

    fn take(&mut self, mut data: &[u8], shared: &mut Shared) -> Result<()> {
        if !self.greeted {
            ensure!(data.starts_with(&wire::PROTOCOL_HEADER), "no AMQP 0-9-1 protocol header");
            self.greeted = true;
            shared.counters.live += 1;
            self.talk.greet();
            data = &data[wire::PROTOCOL_HEADER.len()..];
        }
        let talk = &mut self.talk;
        self.walker.feed(data, &mut |event| match event {
            Event::Method(id, args) => talk.method(id, args, shared),
            Event::Message(size) => {
                talk.message(size, shared);
                Ok(())
            }
        })
    }
}
