// Threads, the collector, virtual threads, exceptions made of signals, processes and streams of Java.
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.regex.*;
import java.util.stream.*;

public class Language {
    record Node(Node left, Node right, int depth) {
        static Node tree(int depth) {
            return depth == 0 ? null : new Node(tree(depth - 1), tree(depth - 1), depth);
        }

        int count() {
            return 1 + (left == null ? 0 : left.count()) + (right == null ? 0 : right.count());
        }
    }

    static void collect() throws Exception {
        try (var pool = Executors.newFixedThreadPool(4)) {
            List<Future<Integer>> results = new ArrayList<>();
            for (int i = 0; i < 24; i++) {
                results.add(pool.submit(() -> IntStream.range(0, 6).map(j -> Node.tree(12).count()).sum()));
            }
            System.gc();
            int sum = 0;
            for (var result : results) {
                sum += result.get();
            }
            System.out.println("trees " + sum);
        }
    }

    static int contended;

    static void locks() throws Exception {
        Object lock = new Object();
        var total = new AtomicLong();
        var threads = new ArrayList<Thread>();
        for (int i = 0; i < 8; i++) {
            threads.add(Thread.ofPlatform().start(() -> {
                for (int j = 0; j < 5000; j++) {
                    synchronized (lock) {
                        contended++;
                    }
                    total.incrementAndGet();
                }
            }));
        }
        for (var thread : threads) {
            thread.join();
        }
        System.out.println("locks " + contended + " " + total);
    }

    static void virtual() throws Exception {
        var map = new ConcurrentHashMap<Integer, Integer>();
        try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < 200; i++) {
                int number = i;
                executor.submit(() -> {
                    Thread.sleep(1);
                    return map.merge(number % 10, 1, Integer::sum);
                });
            }
        }
        System.out.println("virtual " + new TreeMap<>(map));
    }

    static int deep(int n) {
        return deep(n + 1) + 1;
    }

    static void exceptions() {
        int caught = 0;
        int[] none = null;
        for (int i = 0; i < 20000; i++) {
            try {
                caught += i % 2 == 0 ? none[i] : i / (i - i);
            } catch (NullPointerException | ArithmeticException e) {
                caught++;
            }
        }
        try {
            deep(0);
        } catch (StackOverflowError e) {
            System.out.println("deep");
        }
        System.out.println("caught " + caught);
    }

    public static void main(String[] arguments) throws Exception {
        collect();
        locks();
        virtual();
        exceptions();
        var process = new ProcessBuilder("echo", "sub").start();
        System.out.println(new String(process.getInputStream().readAllBytes()).trim() + " " + process.waitFor());
        System.out.println(Stream.iterate(1L, x -> x * 3 % 1000003).limit(100000).parallel().mapToLong(x -> x).sum());
        System.out.println(Pattern.compile("(\\w)(\\w*)").matcher("java is fun").replaceAll("$2$1"));
        System.out.printf("%s %.3f%n", System.getProperty("os.arch"), Math.sqrt(2));
    }
}
