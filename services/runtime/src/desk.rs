//! The counter between the bus objects and the service's loop: a request goes over, an answer comes back. When too
//! many wait, the next one is told `Busy` at once instead of queueing without end.

use busbar_interfaces::CallError;
use tokio::sync::{mpsc, oneshot};

/// Where the loop puts the answer.
pub type Reply<R> = oneshot::Sender<Result<R, CallError>>;

/// The objects' side of the counter.
#[derive(Debug)]
pub struct Desk<I>(mpsc::Sender<I>);

impl<I> Clone for Desk<I> {
    fn clone(&self) -> Self {
        Desk(self.0.clone())
    }
}

impl<I> Desk<I> {
    /// A desk that puts requests into the loop's one input channel.
    pub fn new(inputs: mpsc::Sender<I>) -> Desk<I> {
        Desk(inputs)
    }

    /// Hands over a request and waits for its answer.
    ///
    /// # Errors
    /// `Busy` when too many requests wait, `Internal` when the loop dropped the request, else what the loop answers.
    pub async fn ask<R>(&self, request: impl FnOnce(Reply<R>) -> I) -> Result<R, CallError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(request(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy("too many requests wait; repeat later".to_owned()),
            mpsc::error::TrySendError::Closed(_) => CallError::Internal("the service is stopping".to_owned()),
        })?;
        answer.await.unwrap_or_else(|_| Err(CallError::Internal("the service dropped the request".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_desk_says_busy() {
        let (sender, mut receiver) = mpsc::channel::<Reply<u32>>(1);
        let desk = Desk::new(sender);
        let first = desk.clone();
        let first = tokio::spawn(async move { first.ask(|reply| reply).await });
        tokio::task::yield_now().await;
        assert!(matches!(desk.ask(|reply| reply).await, Err(CallError::Busy(_))));
        receiver.recv().await.expect("the first request").send(Ok(7)).expect("the asker waits");
        assert!(matches!(first.await.expect("task"), Ok(7)));
    }
}
