// Threads that share the passes over one clip. A pass is a number of items that may be done in any order; it ends when all are done.
// Results never depend on who did what: whatever is added up is kept per item.
#pragma once

#include <memory>

namespace tinywase {

class Team {
 public:
  // The caller and up to threads - 1 helpers, fewer where the system gives no more. Helpers that cost more time than they save are
  // left out, unless they are not judged: what they compute is the same.
  explicit Team(int threads, bool judged = true);
  ~Team();

  // Workers that items may name: 0 is the caller.
  int size() const { return size_; }
  // From an item to the one that its worker takes next, if it is not taken.
  static int direction(int worker) { return from_the_end(worker) ? -1 : 1; }
  // work(item, worker) for every item below `count`, on whoever is free; returns when all are done. `work` throws nothing. The
  // caller and every second helper begin at the first item, the others at the last: each finds in its caches what it had before.
  template <class Work>
  void each(int count, const Work &work) {
    run({[](const void *object, int item, int worker) { (*static_cast<const Work *>(object))(item, worker); }, &work, count});
  }

 private:
  struct Pass {
    void (*call)(const void *work, int item, int worker) = nullptr;
    const void *work = nullptr;
    int count = 0;

    void operator()(int item, int worker) const { call(work, item, worker); }
  };
  class Crew;

  static bool from_the_end(int worker) { return worker % 2; }

  void run(const Pass &pass);

  int size_ = 1;
  std::unique_ptr<Crew> crew_;  // none for one thread
};

}  // namespace tinywase
