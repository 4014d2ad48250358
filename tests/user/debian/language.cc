// Exceptions, threads, futures, regular expressions and templates of C++.
#include <algorithm>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

static thread_local int mine;

static int deep(int depth)
{
    if (!depth) {
        throw std::runtime_error("thrown");
    }
    return deep(depth - 1) + 1;
}

int main()
{
    std::vector<std::future<long>> futures;
    for (int i = 0; i < 8; i++) {
        futures.push_back(std::async(std::launch::async, [i] {
            std::vector<long> numbers(20000);
            std::iota(numbers.begin(), numbers.end(), i);
            std::reverse(numbers.begin(), numbers.end());
            std::sort(numbers.begin(), numbers.end());
            mine = i;
            return std::accumulate(numbers.begin(), numbers.end(), 0L) + mine;
        }));
    }
    for (auto &future : futures) {
        std::cout << future.get() << ' ';
    }
    int caught = 0;
    std::mutex lock;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (int j = 0; j < 50; j++) {
                try {
                    deep(j);
                } catch (const std::exception &e) {
                    std::lock_guard guard(lock);
                    caught += std::string(e.what()) == "thrown";
                }
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    std::map<std::string, int> words;
    std::istringstream text("one two one three two one");
    for (std::string word; text >> word;) {
        words[word]++;
    }
    std::cout << '\n' << caught << ' ' << words["one"] << ' '
              << std::regex_replace("c++ is fun", std::regex("(\\w)(\\w+)"), "$2$1") << '\n';
}
