//! A submit that the store carried out and did not answer is withdrawn, by this process or by another one.

use remaster_api::carry_out_withdrawals;
use remaster_blobs::Withdrawal;
use remaster_shared::job::Status;
use tokio_util::sync::CancellationToken;

use crate::fixtures::png;
use crate::harness::{Harness, problem, until};

#[tokio::test]
async fn a_submit_without_an_answer_is_withdrawn() {
    let api = Harness::new().await;
    let name = api.store.hasher().store_name();
    api.counts.lose_answers(true);
    let refused = api.post("/jobs", Some(png(20, 10)), &[]).await;
    assert_eq!(problem(refused).await["code"], "store_unavailable");
    assert_eq!((api.used().await, api.files().0), (1, 1), "the store has the job");
    until("the withdrawal is noted", async || !api.blobs.withdrawals(&name).await.unwrap().is_empty()).await;
    api.counts.lose_answers(false);
    until("the unit is back", async || api.used().await == 0).await;
    api.until_files(0).await;
    until("the note is gone", async || api.blobs.withdrawals(&name).await.unwrap().is_empty()).await;
    assert_eq!(api.store.stats().await.unwrap().queued, 0);
}

#[tokio::test]
async fn a_withdrawal_that_a_dead_node_noted_is_carried_out() {
    let api = Harness::new().await;
    let name = api.store.hasher().store_name();
    let id = api.submit().await["id"].as_str().unwrap().parse().unwrap();
    api.blobs.note_withdrawal(&name, &Withdrawal::of(vec![id]).unwrap()).await.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(carry_out_withdrawals(api.api.clone(), stop.clone()));
    until("the note is gone", async || api.blobs.withdrawals(&name).await.unwrap().is_empty()).await;
    assert_eq!((api.used().await, api.files().0), (0, 0));
    assert_eq!(api.store.get(id).await.unwrap().unwrap().status, Status::Canceled);
    stop.cancel();
    task.await.unwrap();
}
