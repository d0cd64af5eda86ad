//! The shelves.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::open;
use crate::feed::Product;

#[derive(Default)]
pub(crate) struct Warehouse(Mutex<Books>);

#[derive(Default)]
struct Books {
    shelves: BTreeMap<String, Shelf>,
    /// What was taken for an order.
    taken: BTreeMap<u32, BTreeMap<String, u32>>,
    /// Units that were taken and put back.
    put_back: u64,
}

#[derive(Default)]
struct Shelf {
    units: u32,
    /// The largest that was seen.
    fence: u64,
}

/// Why nothing was taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotReserved {
    /// There are not enough units of this product.
    OutOfStock(String),
    /// Somebody with a later lock has been here: who asks has lost his and does
    /// not know.
    Stale,
}

impl Warehouse {
    pub(crate) fn new(catalogue: &BTreeMap<String, Product>) -> Self {
        let shelf = |product: &Product| Shelf { units: product.stock, fence: 0 };
        let shelves =
            catalogue.iter().map(|(number, product)| (number.clone(), shelf(product))).collect();
        Self(Mutex::new(Books { shelves, ..Books::default() }))
    }

    /// Takes all of the items for this order, or none. `fence` is that of the lock
    /// on them.
    pub(crate) fn reserve(
        &self,
        order: u32,
        fence: u64,
        items: &BTreeMap<String, u32>,
    ) -> Result<(), NotReserved> {
        let Books { shelves, taken, .. } = &mut *open(&self.0);
        if taken.contains_key(&order) {
            return Ok(());
        }
        for (product, units) in items {
            match shelves.get(product) {
                Some(shelf) if shelf.fence > fence => return Err(NotReserved::Stale),
                Some(shelf) if shelf.units >= *units => {}
                _ => return Err(NotReserved::OutOfStock(product.clone())),
            }
        }
        for (product, units) in items {
            if let Some(shelf) = shelves.get_mut(product) {
                shelf.units -= units;
                shelf.fence = fence;
            }
        }
        taken.insert(order, items.clone());
        Ok(())
    }

    /// Puts back what was taken for this order.
    pub(crate) fn put_back(&self, order: u32) {
        let Books { shelves, taken, put_back } = &mut *open(&self.0);
        for (product, units) in taken.remove(&order).unwrap_or_default() {
            if let Some(shelf) = shelves.get_mut(&product) {
                shelf.units += units;
                *put_back += u64::from(units);
            }
        }
    }

    /// Units that were taken and not put back.
    pub(crate) fn units_gone(&self) -> u64 {
        open(&self.0).taken.values().flat_map(BTreeMap::values).map(|units| u64::from(*units)).sum()
    }

    /// Units that were taken and put back.
    pub(crate) fn units_back(&self) -> u64 {
        open(&self.0).put_back
    }

    /// Units on the shelves.
    pub(crate) fn units_left(&self) -> u64 {
        open(&self.0).shelves.values().map(|shelf| u64::from(shelf.units)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warehouse() -> Warehouse {
        let product = |product: &str, stock| Product {
            product: product.into(),
            title: String::new(),
            category: String::new(),
            cents: 1,
            stock,
        };
        let products = [product("a", 3), product("b", 1)];
        Warehouse::new(&products.into_iter().map(|it| (it.product.clone(), it)).collect())
    }

    fn items(all: &[(&str, u32)]) -> BTreeMap<String, u32> {
        all.iter().map(|(product, units)| ((*product).to_owned(), *units)).collect()
    }

    #[test]
    fn an_order_gets_all_of_its_items_or_none_and_once() {
        let warehouse = warehouse();
        let short = warehouse.reserve(1, 1, &items(&[("a", 1), ("b", 2)]));
        assert_eq!(short, Err(NotReserved::OutOfStock("b".into())));
        assert_eq!(warehouse.units_left(), 4);
        for _ in 0..2 {
            assert_eq!(warehouse.reserve(2, 2, &items(&[("a", 2), ("b", 1)])), Ok(()));
            assert_eq!((warehouse.units_left(), warehouse.units_gone()), (1, 3));
        }
        for _ in 0..2 {
            warehouse.put_back(2);
            assert_eq!((warehouse.units_left(), warehouse.units_gone()), (4, 0));
            assert_eq!(warehouse.units_back(), 3);
        }
    }

    #[test]
    fn who_has_lost_his_lock_takes_nothing() {
        let warehouse = warehouse();
        assert_eq!(warehouse.reserve(1, 7, &items(&[("a", 1)])), Ok(()));
        let late = warehouse.reserve(2, 6, &items(&[("a", 1), ("b", 1)]));
        assert_eq!(late, Err(NotReserved::Stale));
        assert_eq!(warehouse.units_left(), 3);
    }
}
