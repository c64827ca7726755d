//! What every partition owes to its nodes, and what each promises besides.

use super::*;
use proptest::prelude::*;

fn any_partition() -> impl Strategy<Value = Partition> {
    prop_oneof![
        Just(Partition::Iid),
        Just(Partition::Contiguous),
        Just(Partition::Natural),
        Just(Partition::Linear),
        Just(Partition::Square),
        Just(Partition::Exponential),
        (1_usize..5).prop_map(|pieces| Partition::Shard { pieces }),
        (1_usize..9).prop_map(|classes| Partition::Pathological { classes }),
        (-3.0..3.0_f64).prop_map(|log| Partition::Dirichlet { alpha: 10_f64.powf(log).clamp(0.001, 1_000.0) })
    ]
}

proptest! {
    #[test]
    fn every_example_has_one_owner_and_every_owner_enough(
        partition in any_partition(),
        labels in prop::collection::vec(0_u32..7, 1..600),
        nodes in 1_usize..70,
        seed: u64,
    ) {
        let nodes = nodes.min(labels.len());
        let parts = match partition.assign(&labels, 7, nodes, seed) {
            Err(PartitionError::Unfit { .. }) => {
                let may = matches!(partition, Partition::Natural | Partition::Shard { .. } | Partition::Pathological { .. });
                prop_assert!(may);
                return Ok(());
            }
            parts => parts.expect("a partition"),
        };
        prop_assert_eq!(parts.len(), nodes);
        let mut all = parts.concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
        let least = if partition.keeps_sizes() { 1 } else { LEAST.min(labels.len() / nodes / 2).max(1) };
        prop_assert!(parts.iter().all(|part| part.len() >= least && part.is_sorted()));
        prop_assert_eq!(parts, partition.assign(&labels, 7, nodes, seed).expect("a partition"));
    }

    #[test]
    fn names_survive_print_and_parse(partition in any_partition()) {
        prop_assert_eq!(partition.to_string().parse(), Ok(partition));
    }
}

/// Mean over the nodes of the share of a node's commonest class.
fn skew(partition: Partition) -> f64 {
    let labels: Vec<u32> = (0..2_000).map(|i| i % 10).collect();
    let parts = partition.assign(&labels, 10, 10, 1).expect("a partition");
    let top = |part: &Vec<usize>| (0..10).map(|class| part.iter().filter(|&&i| labels[i] == class).count()).max().unwrap_or(0);
    parts.iter().map(|part| top(part) as f64 / part.len() as f64).sum::<f64>() / 10.0
}

#[test]
fn the_smaller_alpha_the_more_skew() {
    let (iid, mild, strong) =
        (skew(Partition::Iid), skew(Partition::Dirichlet { alpha: 1.0 }), skew(Partition::Dirichlet { alpha: 0.05 }));
    assert!(iid < 0.2 && mild > iid + 0.1 && strong > mild + 0.2, "{iid} {mild} {strong}");
}

#[test]
fn iid_sizes_differ_by_one_at_most() {
    let sizes: Vec<usize> = Partition::Iid.assign(&[0; 103], 1, 10, 5).expect("a partition").iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|&size| size == 10 || size == 11), "{sizes:?}");
}

/// How many labels each node of 10 has, of 2,000 examples of 10 classes.
fn kinds(partition: Partition) -> Vec<usize> {
    let labels: Vec<u32> = (0..2_000).map(|i| i % 10).collect();
    let parts = partition.assign(&labels, 10, 10, 1).expect("a partition");
    let kinds = |part: &Vec<usize>| part.iter().map(|&i| labels[i]).collect::<std::collections::BTreeSet<_>>().len();
    parts.iter().map(kinds).collect()
}

#[test]
fn nodes_have_as_many_classes_as_the_partition_says() {
    assert_eq!(kinds(Partition::Pathological { classes: 3 }), [3; 10]);
    assert_eq!(kinds(Partition::Pathological { classes: 99 }), [10; 10]);
    assert_eq!(kinds(Partition::Natural), [1; 10]);
    // 200 examples of a class and shards of 100: a shard is of one class.
    let kinds = kinds(Partition::Shard { pieces: 2 });
    assert!(kinds.iter().all(|kinds| (1..=2).contains(kinds)) && kinds.contains(&2), "{kinds:?}");
}

#[test]
fn sizes_grow_as_the_partition_says() {
    let sizes = |partition: Partition, examples: usize| -> Vec<usize> {
        let parts = partition.assign(&vec![0; examples], 1, 4, 5).expect("a partition");
        parts.iter().map(Vec::len).collect()
    };
    assert_eq!(sizes(Partition::Linear, 1_000), [100, 200, 300, 400]);
    assert_eq!(sizes(Partition::Square, 3_000), [100, 400, 900, 1_600]);
    // 1 : e : e^2 : e^3 of 31.19 in all.
    assert_eq!(sizes(Partition::Exponential, 1_000), [32, 87, 237, 644]);
    assert_eq!(sizes(Partition::Exponential, 4), [1; 4]);
    assert_eq!(sizes(Partition::Exponential, 5), [1, 1, 1, 2]);
}

#[test]
fn contiguous_pieces_are_what_stands_together() {
    let parts = Partition::Contiguous.assign(&[0; 11], 1, 3, 5).expect("a partition");
    assert_eq!(parts, [vec![0, 1, 2], vec![3, 4, 5, 6], vec![7, 8, 9, 10]]);
}

#[test]
fn natural_labels_go_to_who_has_least_the_largest_first() {
    let labels = [5, 1, 5, 2, 1, 5, 0, 2, 5];
    let parts = Partition::Natural.assign(&labels, 6, 2, 0).expect("a partition");
    assert_eq!(parts, [vec![0, 2, 5, 6, 8], vec![1, 3, 4, 7]]);
}

#[test]
fn a_partition_stays_what_it_was() {
    let labels: Vec<u32> = (0..40).map(|i| i % 4).collect();
    let sizes =
        |partition: Partition| partition.assign(&labels, 4, 4, 9).expect("a partition").iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(Partition::Dirichlet { alpha: 0.5 }), [5, 15, 9, 11]);
    assert_eq!(Partition::Iid.assign(&labels, 4, 8, 9).expect("a partition")[0], [10, 16, 20, 25, 27]);
}

#[test]
fn what_cannot_be_divided_is_refused() {
    assert_eq!(Partition::Iid.assign(&[0, 0], 1, 3, 0), Err(PartitionError::Nodes { nodes: 3, examples: 2 }));
    assert_eq!(Partition::Iid.assign(&[0, 0], 1, 0, 0), Err(PartitionError::Nodes { nodes: 0, examples: 2 }));
    assert_eq!(Partition::Iid.assign(&[0, 4], 4, 1, 0), Err(PartitionError::Label { index: 1, label: 4, classes: 4 }));
    assert_eq!(Partition::Dirichlet { alpha: 0.0 }.assign(&[0], 1, 1, 0), Err(PartitionError::Alpha(0.0)));
    assert_eq!(Partition::Shard { pieces: 0 }.assign(&[0], 1, 1, 0), Err(PartitionError::Pieces(0)));
    assert_eq!(Partition::Pathological { classes: 1_001 }.assign(&[0], 1, 1, 0), Err(PartitionError::Pieces(1_001)));
    let unfit = |partition: Partition, nodes| partition.assign(&[0, 1, 2], 3, nodes, 0).expect_err("refused").to_string();
    let message = |nodes, of, name| format!("{nodes} nodes cannot divide {of} among them as {name:?} asks");
    assert_eq!(unfit(Partition::Shard { pieces: 2 }, 2), message(2, "3 examples", "shard:2"));
    assert_eq!(unfit(Partition::Pathological { classes: 1 }, 2), message(2, "3 classes", "pathological:1"));
    assert_eq!(Partition::Natural.assign(&[1, 1], 2, 2, 0).expect_err("refused").to_string(), message(2, "1 labels", "natural"));
    for name in ["natural:1", "contiguous:", "shard", "shard:0", "shard:1001", "shard:1.5", "pathological:-1"] {
        assert_eq!(name.parse::<Partition>(), Err(PartitionError::Name(name.to_owned())));
    }
    for name in ["", "iid:1", "dirichlet", "dirichlet:", "dirichlet:nan", "dirichlet:0", "dirichlet:-1", "dirichlet:inf", "Iid"] {
        assert_eq!(name.parse::<Partition>(), Err(PartitionError::Name(name.to_owned())));
    }
}
