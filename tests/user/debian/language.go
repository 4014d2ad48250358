// Goroutines, channels, the collector, a server and its clients, reflection and processes of Go.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type node struct {
	Left, Right *node
	Depth       int
}

func tree(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{tree(depth - 1), tree(depth - 1), depth}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.Left.count() + n.Right.count()
}

func pipeline() {
	numbers, squares := make(chan int), make(chan int)
	var workers sync.WaitGroup
	for i := 0; i < 16; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := range numbers {
				squares <- n * n
			}
		}()
	}
	go func() {
		for i := 1; i <= 5000; i++ {
			numbers <- i
		}
		close(numbers)
		workers.Wait()
		close(squares)
	}()
	sum := 0
	for s := range squares {
		sum += s
	}
	fmt.Println("pipeline", sum)
}

func collect() {
	var total atomic.Int64
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 8; j++ {
				total.Add(int64(tree(12).count()))
			}
		}()
	}
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	group.Wait()
	fmt.Println("trees", total.Load())
}

func spin() {
	var stop atomic.Bool
	go func() { // is preempted by a signal: it never calls anything
		for !stop.Load() {
		}
	}()
	time.Sleep(20 * time.Millisecond)
	runtime.GC()
	stop.Store(true)
	fmt.Println("preempted")
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"path": r.URL.Path, "list": []int{1, 2, 3}})
	}))
	found := make([]string, 8)
	var group sync.WaitGroup
	for i := range found {
		group.Add(1)
		go func() {
			defer group.Done()
			response, err := http.Get(fmt.Sprintf("http://%s/%d", listener.Addr(), i))
			if err != nil {
				panic(err)
			}
			defer response.Body.Close()
			var answer struct{ Path string }
			json.NewDecoder(response.Body).Decode(&answer)
			found[i] = answer.Path
		}()
	}
	group.Wait()
	sort.Strings(found)
	fmt.Println("http", found)
}

func recovered() {
	defer func() { fmt.Println("recovered:", recover()) }()
	var nothing *node
	fmt.Println(nothing.Depth) // a signal becomes a panic
}

func main() {
	pipeline()
	collect()
	spin()
	serve()
	recovered()
	output, err := exec.Command("echo", "sub").Output()
	fmt.Print("exec ", string(output), err, "\n")
	words := regexp.MustCompile(`\b(\w)(\w*)\b`).ReplaceAllString(strings.Repeat("go is fun ", 3), "$2$1")
	fmt.Printf("%s%x\n", words, sha256.Sum256([]byte(words)))
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	io.WriteString(writer, strings.Repeat("abc", 10000))
	writer.Close()
	reader, _ := gzip.NewReader(&packed)
	text, _ := io.ReadAll(reader)
	fmt.Println(runtime.GOARCH, len(text))
}
