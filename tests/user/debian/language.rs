// Threads, channels, collections, panics and processes of Rust.
use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

struct Node {
    left: Option<Box<Node>>,
    right: Option<Box<Node>>,
}

fn tree(depth: u32) -> Option<Box<Node>> {
    (depth > 0).then(|| Box::new(Node { left: tree(depth - 1), right: tree(depth - 1) }))
}

fn count(node: &Option<Box<Node>>) -> u64 {
    node.as_ref().map_or(0, |n| 1 + count(&n.left) + count(&n.right))
}

fn main() {
    let (sender, receiver) = mpsc::channel();
    for i in 0..8u64 {
        let sender = sender.clone();
        thread::spawn(move || sender.send((i, count(&tree(12)) * i)).unwrap());
    }
    drop(sender);
    let found: BTreeMap<_, _> = receiver.iter().collect();
    println!("{:?}", found);
    let words = Arc::new(Mutex::new(HashMap::new()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                for word in "a b a c b a".split(' ') {
                    *words.lock().unwrap().entry(word).or_insert(0) += 1;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut words: Vec<_> = words.lock().unwrap().clone().into_iter().collect();
    words.sort();
    println!("{:?}", words);
    std::panic::set_hook(Box::new(|_| ()));
    let result = std::panic::catch_unwind(|| {
        let list: Vec<u32> = (0..3).collect();
        list[std::hint::black_box(7)]
    });
    println!("panicked: {}", result.is_err());
    let output = Command::new("echo").arg("sub").output().unwrap();
    println!("{} {:.3}", String::from_utf8_lossy(&output.stdout).trim(), 2f64.sqrt());
    println!("{}", Command::new("/nonexistent").spawn().is_err());
}
