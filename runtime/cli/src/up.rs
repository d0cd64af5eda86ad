//! `stheno up`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use stheno::Runtime;
use stheno::config::{Config, ModuleName, ServerConfig};
use stheno_server::serve;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing_subscriber::filter::LevelFilter;

use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::logs::{self, LogFormat};

/// What is served, and where.
#[derive(Args)]
pub(crate) struct Up {
    #[command(flatten)]
    config: ConfigFile,
    /// The address to listen at instead of `server.listen`; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// How log lines on stderr look; RUST_LOG says which there are
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Log warnings and errors only, and do not say when it is ready
    #[arg(short, long)]
    quiet: bool,
}

impl Up {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let level = if self.quiet { LevelFilter::WARN } else { LevelFilter::INFO };
        logs::start(self.log_format, level)?;
        let mut signals = signals()?;
        let config = self.config.load()?;
        let server = self.server(&config)?;
        // Before the providers: a port in use shows at once.
        let listener = listen(server.listen()).await?;
        let address = listener.local_addr().map_err(|error| {
            Failure::other(format!("the listener has no address: {error}"), "try again")
        })?;
        let runtime = tokio::select! {
            runtime = Runtime::builder().config(config.clone()).build() => runtime?,
            _ = signals.recv() => return Ok(()),
        };
        if !self.quiet {
            self.ready(address, &server, &config);
        }

        let (stop, mut stopped) = mpsc::channel::<()>(1);
        tokio::spawn(async move {
            signals.recv().await;
            tracing::info!("stopping; a second signal stops at once");
            drop(stop);
            // None is not a signal: the process is ending by itself.
            if signals.recv().await.is_some() {
                tracing::warn!("stopped at once");
                std::process::exit(1);
            }
        });
        let served = serve(listener, runtime.clone(), server, async move {
            stopped.recv().await;
        });
        let served = served.await.map_err(|error| {
            Failure::other(error.to_string(), "listen on loopback: --listen 127.0.0.1:7070")
        });
        let down = runtime.shutdown().await.map_err(|error| Failure::Other {
            message: format!("a provider did not stop cleanly: {error}"),
            help: None,
        });
        tracing::info!("stopped");
        served.and(down)
    }

    fn server(&self, config: &Config) -> Result<ServerConfig, Failure> {
        let server = config.server.clone();
        match self.listen {
            None => Ok(server),
            Some(listen) => server.with_listen(listen).map_err(|error| {
                Failure::other(
                    error.to_string(),
                    "write in stheno.toml, below [server]: token = \"${STHENO_TOKEN}\", or \
                     listen on loopback: --listen 127.0.0.1:7070",
                )
            }),
        }
    }

    /// Says where what can be reached.
    fn ready(&self, address: SocketAddr, server: &ServerConfig, config: &Config) {
        let modules: Vec<String> = ModuleName::ALL
            .iter()
            .map(|&module| {
                let all = config.modules.all(module).into_iter();
                let all: Vec<_> = all.map(|(_, provider)| provider.resolve.to_string()).collect();
                format!("{module}: {}", all.join(" + "))
            })
            .collect();
        let modules = modules.join(", ");
        if self.log_format == LogFormat::Json {
            tracing::info!(%address, modules, "ready");
            return;
        }
        let token = match server.token() {
            Some(_) => "-H \"Authorization: Bearer $STHENO_TOKEN\" ",
            None => "",
        };
        let here = reachable(address);
        eprintln!(
            "stheno {} is ready at http://{address} ({modules})\n\
             try: curl {token}-X PUT 'http://{here}/v1/cache/entry?key=greeting' -d hello",
            env!("CARGO_PKG_VERSION"),
        );
    }
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program, perhaps another `stheno up`, listens there; stop it, or choose \
                 another port: --listen 127.0.0.1:7071, or server.listen in stheno.toml; port 0 \
                 takes a free one"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are for the administrator; choose another: --listen \
                 127.0.0.1:7070"
            }
            _ => "choose an address of this machine, such as --listen 127.0.0.1:7070",
        };
        Failure::other(format!("cannot listen at {address}: {error}"), help)
    })
}

/// A message for each signal that asks this process to end.
fn signals() -> Result<mpsc::Receiver<()>, Failure> {
    let (sender, receiver) = mpsc::channel(2);
    let failed = |error: io::Error| Failure::Other {
        message: format!("signals cannot be received: {error}"),
        help: None,
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
    }
    #[cfg(windows)]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c().map_err(failed)?;
        tokio::spawn(async move {
            while interrupt.recv().await.is_some() && sender.send(()).await.is_ok() {}
        });
    }
    Ok(receiver)
}
