//! Calls that go on although nobody polls them.
//!
//! What callers share (the one instance, the instances of a pool, a batch) must
//! not be held in a future that only its caller polls. A future may be polled
//! once and then left lying, as in the other arm of a `select!` or in a buffered
//! stream while the loop's body waits for something: it would hold up everybody,
//! its own caller first of all.

use std::pin::Pin;
use std::task::{Context, Poll};

use stheno_contracts::Error;
use tokio::task::JoinHandle;

type Boxed<R> = Pin<Box<dyn Future<Output = Result<R, Error>> + Send>>;

/// Work that begins in the task of whoever waits for it. Most work is done by
/// then and costs nothing more; what has to wait for something gets a task of its
/// own.
pub(crate) struct Driven<R: Send + 'static> {
    work: Work<R>,
    carried: bool,
}

enum Work<R: Send + 'static> {
    New(Boxed<R>),
    Task(JoinHandle<Result<R, Error>>),
    Done,
}

impl<R: Send + 'static> Driven<R> {
    /// Work that has begun is carried to its end, also if its caller goes away.
    pub(crate) fn carried(work: impl Future<Output = Result<R, Error>> + Send + 'static) -> Self {
        Self { work: Work::New(Box::pin(work)), carried: true }
    }

    /// Work that is dropped where it stands if its caller goes away.
    pub(crate) fn cut_off(work: impl Future<Output = Result<R, Error>> + Send + 'static) -> Self {
        Self { work: Work::New(Box::pin(work)), carried: false }
    }
}

impl<R: Send + 'static> Future for Driven<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Work::New(work) = &mut self.work {
            let begun = work.as_mut().poll(context);
            let work = std::mem::replace(&mut self.work, Work::Done);
            match work {
                Work::New(work) if begun.is_pending() => {
                    self.work = Work::Task(tokio::spawn(work));
                }
                _ => return begun,
            }
        }
        let Work::Task(task) = &mut self.work else { return Poll::Pending };
        let ended = std::task::ready!(Pin::new(task).poll(context));
        self.work = Work::Done;
        Poll::Ready(match ended {
            Ok(answer) => answer,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(stopping()),
        })
    }
}

impl<R: Send + 'static> Drop for Driven<R> {
    fn drop(&mut self) {
        if let (Work::Task(task), false) = (&self.work, self.carried) {
            task.abort();
        }
    }
}

/// The error where the host's own tasks end before their work does.
pub(crate) fn stopping() -> Error {
    Error::Unavailable("the host is stopping".into())
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    async fn poll_once<R: Send>(work: &mut Driven<R>) -> Poll<Result<R, Error>> {
        std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *work).poll(context))).await
    }

    /// Work that says when it was let go, and whether it ended.
    struct Begun {
        work: Driven<&'static str>,
        go: oneshot::Sender<()>,
        ended: oneshot::Receiver<()>,
    }

    async fn begin(make: fn(Boxed<&'static str>) -> Driven<&'static str>) -> Begun {
        let (go, wait_go) = oneshot::channel::<()>();
        let (tell, ended) = oneshot::channel();
        let mut work = make(Box::pin(async move {
            let _ = wait_go.await;
            let _ = tell.send(());
            Ok("done")
        }));
        assert!(poll_once(&mut work).await.is_pending());
        Begun { work, go, ended }
    }

    #[tokio::test]
    async fn work_that_nobody_polls_ends_and_keeps_its_answer() {
        for make in [Driven::carried, Driven::cut_off] {
            let begun = begin(make).await;
            begun.go.send(()).unwrap();
            begun.ended.await.unwrap();
            assert_eq!(begun.work.await.ok(), Some("done"));
        }
    }

    #[tokio::test]
    async fn work_that_is_carried_ends_although_nobody_waits() {
        let begun = begin(Driven::carried).await;
        drop(begun.work);
        begun.go.send(()).unwrap();
        assert!(begun.ended.await.is_ok());
    }

    #[tokio::test]
    async fn other_work_is_dropped_with_whoever_waited() {
        let begun = begin(Driven::cut_off).await;
        drop(begun.work);
        assert!(begun.ended.await.is_err());
    }

    #[tokio::test]
    async fn work_that_need_not_wait_is_done_in_its_callers_task() {
        let caller = tokio::spawn(async {
            let work = Driven::carried(async { Ok(tokio::task::id()) });
            assert_eq!(work.await.ok(), Some(tokio::task::id()));
        });
        caller.await.unwrap();
    }
}
