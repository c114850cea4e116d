//! The SMSC that the others are measured against: `smpp34`'s server, which accepts everything and, if told to, sends a
//! receipt for each message.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use smpp34::{
    SmppConnectionInformation, SmppServer, SmppServerListener, bind_transceiver, bind_transceiver_resp,
    server::ESME, submit_sm, submit_sm_resp,
};
use tokio::sync::{RwLock, mpsc};

/// How many receipts may wait for their acknowledgement.
const RECEIPTS_AT_ONCE: usize = 5_000;

struct Peer {
    count: AtomicU64,
    receipts: bool,
    line: RwLock<Option<mpsc::Sender<(String, String, String)>>>,
}

#[async_trait]
impl SmppServerListener for Peer {
    async fn on_bind_transceiver(
        &self,
        request: bind_transceiver,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> bind_transceiver_resp {
        request.accept("SMSC".into(), Some(0x34))
    }

    async fn on_esme_bound(&self, esme: ESME, _: &String) {
        let (receipts, mut due) = mpsc::channel::<(String, String, String)>(100_000);
        *self.line.write().await = Some(receipts);
        let esme = Arc::new(esme);
        let room = Arc::new(tokio::sync::Semaphore::new(RECEIPTS_AT_ONCE));
        tokio::spawn(async move {
            while let Some((id, from, to)) = due.recv().await {
                let Ok(place) = room.clone().acquire_owned().await else { return };
                let esme = esme.clone();
                tokio::spawn(async move {
                    let text = format!("id:{id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:");
                    let receipt = esme.deliver_sm().source_addr(to).destination_addr(from).esm_class(4);
                    let _ = receipt.short_message(text.into_bytes()).send().await;
                    drop(place);
                });
            }
        });
    }

    async fn on_submit_sm(
        &self,
        request: submit_sm,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> submit_sm_resp {
        let id = format!("{:08x}", self.count.fetch_add(1, Ordering::Relaxed));
        if self.receipts
            && let Some(line) = self.line.read().await.as_ref()
        {
            let _ =
                line.send((id.clone(), request.source_addr.clone(), request.destination_addr.clone())).await;
        }
        request.accept(id)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_default().parse()?;
    let receipts = args.next().is_some_and(|word| word == "true");
    let peer = Arc::new(Peer { count: AtomicU64::new(0), receipts, line: RwLock::default() });
    let mut server = SmppServer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port, peer);
    server.start().await;
    std::future::pending().await
}
