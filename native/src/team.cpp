#include "team.h"

#if defined(TINYWASE_THREADS)
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>
#endif

namespace tinywase {

#if defined(TINYWASE_THREADS)
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSpin = std::chrono::microseconds(100);  // longer than most items take; who waits longer sleeps
constexpr int kLooksPerTime = 32;                       // at what is waited for, between looks at the clock
constexpr auto kWatch = std::chrono::milliseconds(8);   // before a helper works; systems share a processor in such slices
constexpr auto kLost = std::chrono::milliseconds(2);    // no thread with a processor of its own is away that long
constexpr double kGrace_s = 2e-3;                       // that a helper may owe

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// Lets the processor rest for some cycles.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

// A helper that loses its processor in the middle of an item keeps all others waiting, and two threads become slower than one.
// Hence two rules. A helper watches the clock before it takes its first item, and goes if it finds that it was away. And books are
// kept: what a helper's items would have taken the caller, less what the caller waited for the helper; one that owes more than
// kGrace_s is left out from then on.
class Team::Crew {
 public:
  Crew(int threads, bool judged) : begin_(Clock::now()), judged_(judged), workers_(threads) {
    for (int number = 1; number < threads; number++, size_++) {
      Worker &worker = workers_[number];
      worker.number = number;
      try {
        worker.thread = std::thread([this, &worker] { help(worker); });
      } catch (const std::exception &) {
        break;
      }
    }
  }

  ~Crew() {
    for (Worker &worker : workers_) worker.leaves = true;
    wake();
    for (Worker &worker : workers_)
      if (worker.thread.joinable()) worker.thread.join();
  }

  int size() const { return size_; }
  static constexpr int most_items() { return static_cast<int>(Range::kMask); }

  void run(const Pass &pass) {
    const uint64_t number = (finished_ / kWorkers + 1) % Range::kPasses;
    pass_ = pass;
    undone_ = pass.count;
    left_ = Range{number, 0, static_cast<uint64_t>(pass.count)}.packed();
    wake();
    const auto begin = Clock::now();
    Worker &caller = workers_[0];
    const int done_before = caller.done;
    while (do_one(caller)) {
    }
    const auto idle = Clock::now();
    await([&] { return finished_ / kWorkers == number; });
    if (const int done = caller.done - done_before)
      settle(seconds(idle - begin) / done, workers_[finished_ % kWorkers], seconds(Clock::now() - idle));
  }

 private:
  static constexpr uint64_t kWorkers = 1 << 8;  // more than there are

  // Items of a pass that nobody has taken, in one word with the number of the pass, so that no word of an old pass is taken for one
  // of a new.
  struct Range {
    static constexpr int kBits = 22;
    static constexpr uint64_t kMask = (uint64_t{1} << kBits) - 1, kPasses = uint64_t{1} << (64 - 2 * kBits);
    uint64_t number = 0, begin = 0, end = 0;

    static Range of(uint64_t word) { return {word >> 2 * kBits, word >> kBits & kMask, word & kMask}; }
    uint64_t packed() const { return number << 2 * kBits | begin << kBits | end; }
    bool empty() const { return begin == end; }
  };

  struct alignas(64) Worker {
    int number = 0;
    std::thread thread;              // none for the caller
    std::atomic<int> done{0};        // items
    std::atomic<bool> leaves{false};
    int settled = 0;                 // of `done`
    double credit_s = 0;
  };

  void help(Worker &worker) {
    if (judged_ && !undisturbed(worker)) return;
    while (!worker.leaves)
      if (!do_one(worker)) await([&] { return worker.leaves || !Range::of(left_).empty(); });
  }

  // Whether this thread was never away since the crew was made, which kWatch is waited for.
  bool undisturbed(const Worker &worker) const {
    for (auto last = begin_; last - begin_ < kWatch;) {
      const auto now = Clock::now();
      if (now - last > kLost || worker.leaves) return false;
      last = now;
      pause();
    }
    return true;
  }

  // Takes an item, if one is left, and does it. Whoever has one keeps the pass from ending, and so pass_ from changing.
  bool do_one(Worker &worker) {
    uint64_t left = left_;
    Range range;
    uint64_t item;
    do {
      range = Range::of(left);
      if (range.empty()) return false;
      item = from_the_end(worker.number) ? --range.end : range.begin++;
    } while (!left_.compare_exchange_weak(left, range.packed()));
    pass_(static_cast<int>(item), worker.number);
    worker.done++;
    if (--undone_ == 0) {
      finished_ = range.number * kWorkers + static_cast<uint64_t>(worker.number);
      if (worker.number) wake();
    }
    return true;
  }

  // After a pass whose items took `item_s` each, and in which the caller waited for `last` at the end.
  void settle(double item_s, Worker &last, double waited_s) {
    last.credit_s -= waited_s;
    for (Worker &worker : workers_) {
      worker.credit_s += item_s * (worker.done - worker.settled);
      worker.settled = worker.done;
      if (judged_ && worker.credit_s < -kGrace_s) worker.leaves = true;
    }
  }

  // Waits until ready() is true, which whoever makes it so tells by wake().
  template <class Ready>
  void await(Ready ready) {
    const auto begin = Clock::now();
    do {
      for (int look = 0; look < kLooksPerTime; look++) {
        if (ready()) return;
        pause();
      }
    } while (Clock::now() - begin < kSpin);
    std::unique_lock<std::mutex> lock(turn_);
    sleepers_++;  // before ready() is asked again, as wake() looks at the sleepers after it became true
    changed_.wait(lock, ready);
    sleepers_--;
  }

  void wake() {
    if (!sleepers_) return;
    const std::lock_guard<std::mutex> lock(turn_);
    changed_.notify_all();
  }

  const Clock::time_point begin_;
  const bool judged_;
  std::vector<Worker> workers_;
  int size_ = 1;
  Pass pass_;                          // the newest
  std::atomic<uint64_t> left_{0};      // its Range
  std::atomic<int> undone_{0};         // its items that are not done
  std::atomic<uint64_t> finished_{0};  // number of the newest pass that is done * kWorkers + who did its last item
  std::atomic<int> sleepers_{0};
  std::mutex turn_;
  std::condition_variable changed_;
};

Team::Team(int threads, bool judged) {
  if (threads < 2) return;
  crew_ = std::make_unique<Crew>(threads, judged);
  size_ = crew_->size();
}

#else

class Team::Crew {
 public:
  static constexpr int most_items() { return 0; }
  void run(const Pass &) {}
};

Team::Team(int, bool) {}

#endif

Team::~Team() = default;

void Team::run(const Pass &pass) {
  if (crew_ && pass.count > 0 && pass.count <= Crew::most_items()) return crew_->run(pass);
  for (int item = 0; item < pass.count; item++) pass(item, 0);
}

}  // namespace tinywase
