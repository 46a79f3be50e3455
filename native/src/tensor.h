// One tensor of a model file: how it is stored, and what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace tinywase {

struct Kernels;  // kernels.h

// Thrown while a model is opened, caught at the C interface.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class TensorKind : uint8_t { float32, float16, codes };

// A row of the tensor table, checked in itself.
struct Record {
  std::string name;
  TensorKind kind = TensorKind::float32;
  int bits = 32;
  bool coded = false;  // codes went through the range coder
  bool ramp = false;   // levels are a first one and a step
  std::vector<uint32_t> shape;
  size_t elements = 0;
  uint32_t levels = 0, scales = 0;
  size_t offset = 0, length = 0;  // bytes of its data in the file

  // Throws FileError for a row that is not possible.
  static Record read(const uint8_t *row);
  // Of its values or uncoded codes: more than 32 bits can say, for a table that lies.
  uint64_t packed_bytes() const { return (uint64_t(elements) * bits + 7) / 8; }
  size_t table_bytes() const { return 4 * ((ramp ? 2 : size_t(levels)) + scales); }
};

// A tensor with its codes unpacked and checked, or its values as the file has them.
class Tensor {
 public:
  // `data` are the record's bytes. Throws FileError for contents that are not possible.
  Tensor(const Record &record, const uint8_t *data, const Kernels &kernels);

  TensorKind kind() const { return kind_; }
  const std::vector<uint32_t> &shape() const { return shape_; }
  std::vector<float> values() const;  // dequantized: levels[code] * scale, in float32
  const std::vector<uint8_t> &codes() const { return codes_; }
  const std::vector<float> &levels() const { return levels_; }
  const std::vector<float> &scales() const { return scales_; }  // one, or one per first index

 private:
  void read_codes(const Record &record, const uint8_t *data, const Kernels &kernels);
  void check(const std::string &name) const;

  TensorKind kind_;
  std::vector<uint32_t> shape_;
  std::vector<uint8_t> codes_;
  std::vector<float> levels_, scales_, values_;
};

// The range coder of src/tinywase/entropy.py: `count` codes of `levels` levels from `size` bytes.
std::vector<uint8_t> decode_codes(const Kernels &kernels, const uint8_t *data, size_t size, size_t count, uint32_t levels);

// Little-endian numbers, wherever they lie.
inline uint32_t read_u16(const uint8_t *p) { return p[0] | uint32_t(p[1]) << 8; }
inline uint32_t read_u32(const uint8_t *p) { return read_u16(p) | read_u16(p + 2) << 16; }
float read_f32(const uint8_t *p);
double read_f64(const uint8_t *p);

constexpr uint64_t round_up(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }
bool all_zero(const uint8_t *begin, const uint8_t *end);
inline std::string text(uint64_t value) { return std::to_string(value); }

}  // namespace tinywase
