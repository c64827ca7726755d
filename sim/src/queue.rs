//! What will happen and when: events ordered by time, and within one instant by who was first to
//! schedule. Nothing else decides an order in a simulation, so equal schedules give equal runs.

use std::collections::BTreeMap;

use shoal_protocol::time::Time;

/// The place of an event in the order of things; names it for [`Queue::cancel`].
pub(crate) type Place = (Time, u64);

/// Everything that is still to happen.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    next: u64,
    events: BTreeMap<Place, E>,
}

impl<E> Queue<E> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, events: BTreeMap::new() }
    }

    /// Schedules an event after all that are scheduled for the same time.
    pub(crate) fn push(&mut self, at: Time, event: E) -> Place {
        let place = (at, self.next);
        self.next += 1;
        self.events.insert(place, event);
        place
    }

    /// Takes back an event that has not happened yet.
    pub(crate) fn cancel(&mut self, place: Place) -> Option<E> {
        self.events.remove(&place)
    }

    /// The next event.
    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_orders_and_within_an_instant_the_schedule() {
        let mut queue = Queue::new();
        queue.push(Time(5), 'c');
        queue.push(Time(1), 'a');
        let cancelled = queue.push(Time(1), 'x');
        queue.push(Time(1), 'b');
        assert_eq!(queue.cancel(cancelled), Some('x'));
        assert_eq!(queue.cancel(cancelled), None);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(Time(1), 'a'), (Time(1), 'b'), (Time(5), 'c')]);
    }
}
