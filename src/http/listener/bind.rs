//! Sockets to listen on.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use super::Peer;
use crate::http::transport::Transport;

/// A socket that accepts connections, on the network or for processes of this machine.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

/// A connection before its caps were looked at.
pub(super) struct Accepted {
    pub(super) io: AcceptedIo,
    pub(super) peer: Peer,
}

pub(super) enum AcceptedIo {
    Tcp(tokio::net::TcpStream),
    /// Local: there is no TLS to do.
    Ready(Transport),
}

impl Listener {
    /// Listens on a network address with room for `backlog` connections that wait to be accepted. An IPv6 wildcard takes
    /// IPv4 too. Accepted connections send without delay and probe dead peers after a minute of silence.
    ///
    /// # Errors
    ///
    /// What the system says: most often that the port is taken or needs privileges.
    pub fn bind(address: SocketAddr, backlog: i32) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // A restart must not wait for old connections to fade from the kernel's table.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // Linux hands these on to accepted sockets, which saves calls on each.
        socket.set_tcp_nodelay(true)?;
        let probes = TcpKeepalive::new()
            .with_time(Duration::from_mins(1))
            .with_interval(Duration::from_secs(15))
            .with_retries(4);
        socket.set_tcp_keepalive(&probes)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        Ok(Self(Kind::Tcp(TcpListener::from_std(socket.into())?)))
    }

    /// Listens on a local socket at `path`, for this user only (mode 0600). A file that a killed server left is replaced;
    /// one that still answers is not.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when a server answers there or the file is something else, or what the system says.
    pub fn bind_local(path: &Path) -> io::Result<Self> {
        if let Ok(there) = fs::symlink_metadata(path) {
            let taken = !there.file_type().is_socket() || BlockingUnixStream::connect(path).is_ok();
            if taken {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let path = path.to_owned();
        Ok(Self(Kind::Unix { listener, path }))
    }

    /// The network address, with the port that the system chose for port 0. `None` for a local socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix { .. } => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (tcp, address) = listener.accept().await?;
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                let peer = Peer {
                    address: Some(address),
                    ..Peer::default()
                };
                Ok(Accepted {
                    io: AcceptedIo::Tcp(tcp),
                    peer,
                })
            }
            Kind::Unix { listener, .. } => {
                let (unix, _) = listener.accept().await?;
                let uid = Some(unix.peer_cred()?.uid());
                let peer = Peer {
                    uid,
                    ..Peer::default()
                };
                Ok(Accepted {
                    io: AcceptedIo::Ready(unix.into()),
                    peer,
                })
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix { path, .. } = &self.0 {
            // Otherwise the next start finds and removes it.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_local_socket_replaces_a_dead_one_but_not_a_live_one_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "what a killed server leaves");
        let live = Listener::bind_local(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = Listener::bind_local(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(live);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(Listener::bind_local(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn the_chosen_port_is_known() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        assert_ne!(listener.address().unwrap().port(), 0);
    }
}
