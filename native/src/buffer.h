// Memory: aligned buffers for weights, and arenas that hold everything a stream or a clip works on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tinywase {

constexpr size_t kAlignment = 64;
constexpr size_t kMostBytes = SIZE_MAX / 2;  // of a piece of memory, so that sums of sizes do not wrap around

// rows * columns, or bad_alloc: with 32 bits the frames of a long recording times a wide model's channels wrap around.
inline size_t area(size_t rows, size_t columns) {
  if (columns && rows > kMostBytes / columns) throw std::bad_alloc();
  return rows * columns;
}

// Memory that could not be had, and how much of it was asked for.
struct NotEnough : std::bad_alloc {
  explicit NotEnough(size_t asked_bytes) : bytes(asked_bytes) {}
  const size_t bytes;
};

// A fixed number of T, zeroed, aligned for every instruction set. T is a plain number.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t count) : count_(count) {
    if (count > kMostBytes / sizeof(T)) throw std::bad_alloc();
    const size_t size = bytes();
    const bool huge = size >= kHugePage;
    data_ = static_cast<T *>(::operator new(size, std::align_val_t(huge ? kHugePage : kAlignment), std::nothrow));
    if (!data_) throw NotEnough(size);
    alignment_ = huge ? kHugePage : kAlignment;
#if defined(__linux__)
    if (huge) madvise(data_, size, MADV_HUGEPAGE);  // hundreds of page faults fewer per clip
#endif
    std::memset(static_cast<void *>(data_), 0, size);
  }
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    std::swap(alignment_, other.alignment_);
    return *this;
  }
  ~Buffer() {
    if (data_) ::operator delete(static_cast<void *>(data_), std::align_val_t(alignment_));
  }
  T *data() { return data_; }
  const T *data() const { return data_; }
  T &operator[](size_t i) { return data_[i]; }
  const T &operator[](size_t i) const { return data_[i]; }
  size_t size() const { return count_; }
  size_t bytes() const { return count_ * sizeof(T); }

 private:
  static constexpr size_t kHugePage = 2u << 20;
  T *data_ = nullptr;
  size_t count_ = 0;
  size_t alignment_ = kAlignment;
};

// Working memory that a finished call leaves to the next one: fresh memory costs a page fault every 4 KiB. Who finds another thread
// here goes without.
class Spare {
 public:
  // At least `bytes`, of any contents.
  Buffer<uint8_t> take(size_t bytes) {
    Buffer<uint8_t> result;
    alone([&] {
      if (kept_.size() >= bytes) result = std::move(kept_);
    });
    return result.size() ? std::move(result) : Buffer<uint8_t>(bytes);
  }
  void give(Buffer<uint8_t> &&block) {
    alone([&] {
      if (block.size() > kept_.size() && block.size() <= kMostKept) kept_ = std::move(block);
    });
  }

 private:
  static constexpr size_t kMostKept = 32u << 20;  // bytes: 10 s of the largest configuration
  template <class Function>
  void alone(Function function) {
    if (taken_.test_and_set(std::memory_order_acquire)) return;
    function();
    taken_.clear(std::memory_order_release);
  }
  std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
  Buffer<uint8_t> kept_;
};

// Hands out pieces of one block of memory. Without a block it only counts: a layout function runs twice, first to measure, then
// to place.
class Arena {
 public:
  Arena() = default;
  explicit Arena(uint8_t *block) : block_(block) {}
  template <class T>
  T *take(size_t count) {
    const size_t at = used_;
    if (count > (kMostBytes - kAlignment) / sizeof(T) || used_ > kMostBytes - count * sizeof(T)) throw std::bad_alloc();
    used_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return block_ ? reinterpret_cast<T *>(block_ + at) : nullptr;
  }
  size_t used() const { return used_; }

 private:
  uint8_t *block_ = nullptr;
  size_t used_ = 0;
};

}  // namespace tinywase
