#include "tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tinywase {
namespace {

constexpr uint64_t kMaxElements = uint64_t(1) << 28;
constexpr size_t kNameBytes = 60, kCodesPerByte = 16;
constexpr int kMaxDimensions = 4;

[[noreturn]] void refuse(const std::string &name, const std::string &why) { throw FileError("tensor '" + name + "'" + why + "."); }

// Infinities become NaN too: no weight may be one.
float read_f16(const uint8_t *p) {
  const uint32_t bits = read_u16(p), exponent = bits >> 10 & 31, fraction = bits & 1023, sign = bits >> 15 << 31;
  if (exponent == 31) return std::numeric_limits<float>::quiet_NaN();
  const float small = static_cast<float>(fraction) * 0x1p-24f;  // without a hidden bit
  uint32_t word = (exponent + 112) << 23 | fraction << 13;
  if (exponent == 0) std::memcpy(&word, &small, sizeof word);
  word |= sign;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

std::string read_name(const uint8_t *p) {
  size_t length = 0;
  const auto allowed = [](uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; };
  while (length < kNameBytes && allowed(p[length])) length++;
  if (!length || length == kNameBytes || !all_zero(p + length, p + kNameBytes))
    throw FileError("a tensor's name is not of small letters, digits, '_' and '.', zero-padded.");
  return {reinterpret_cast<const char *>(p), length};
}

void read_shape(Record &r, const uint8_t *row, int dimensions) {
  if (dimensions < 1 || dimensions > kMaxDimensions) refuse(r.name, " has " + text(dimensions) + " dimensions: expected 1 to 4");
  uint64_t elements = 1;
  for (int i = 0; i < kMaxDimensions; i++) {
    const uint32_t size = read_u32(row + 64 + 4 * i);
    if ((i < dimensions) != (size > 0)) refuse(r.name, " has an impossible shape");
    if (i >= dimensions) continue;
    r.shape.push_back(size);
    elements *= size;
    if (elements > kMaxElements) refuse(r.name, " has more than " + text(kMaxElements) + " elements");
  }
  r.elements = elements;
}

// The number of bytes must be what the elements need; a coded stream may have any length within reason.
void check_length(const Record &r) {
  const uint64_t packed = r.packed_bytes();
  if (r.coded) {
    const uint64_t stream = r.length < r.table_bytes() ? 0 : r.length - r.table_bytes();
    if (r.elements > kCodesPerByte * stream || stream >= packed)
      refuse(r.name, " has " + text(stream) + " bytes for " + text(r.elements) + " coded codes: expected fewer than " +
                         text(packed) + ", and at most 16 codes a byte");
    return;
  }
  const uint64_t need = r.kind == TensorKind::codes ? round_up(packed, 4) + r.table_bytes() : packed;
  if (r.length != need) refuse(r.name, " has " + text(r.length) + " bytes of data: expected " + text(need));
}

// A bit stream, lowest bit first, eight codes to `bits` bytes; src/tinywase/packing.py.
std::vector<uint8_t> unpack(const uint8_t *data, size_t count, int bits) {
  std::vector<uint8_t> result(count);
  const uint64_t mask = (1u << bits) - 1;
  uint64_t word = 0;
  for (size_t first = 0; first < count; first += 8) {
    const size_t left = std::min<size_t>(8, count - first);
    word = 0;
    for (size_t i = 0; i < (left * bits + 7) / 8; i++) word |= uint64_t(*data++) << 8 * i;
    for (size_t i = 0; i < left; i++, word >>= bits) result[first + i] = static_cast<uint8_t>(word & mask);
  }
  if (word) throw FileError("the unused bits after its codes are not zero.");
  return result;
}

// Packed codes may be larger than there are levels; coded ones cannot.
void check_codes(const std::vector<uint8_t> &codes, uint32_t levels) {
  const uint8_t largest = *std::max_element(codes.begin(), codes.end());
  if (largest >= levels) throw FileError("code " + text(largest) + " is outside its " + text(levels) + " levels.");
}

}  // namespace

float read_f32(const uint8_t *p) {
  const uint32_t bits = read_u32(p);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

double read_f64(const uint8_t *p) {
  const uint64_t bits = read_u32(p) | uint64_t(read_u32(p + 4)) << 32;
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bool all_zero(const uint8_t *begin, const uint8_t *end) {
  return std::all_of(begin, end, [](uint8_t byte) { return byte == 0; });
}

Record Record::read(const uint8_t *row) {
  Record r;
  r.name = read_name(row);
  if (row[60] > 2) refuse(r.name, " has the unknown kind " + text(row[60]) + ": expected 0 to 2");
  r.kind = static_cast<TensorKind>(row[60]);
  r.bits = row[61];
  const bool codes = r.kind == TensorKind::codes;
  if (row[62] > (codes ? 3 : 0)) refuse(r.name, " has the unknown encoding " + text(row[62]) + ": expected " + (codes ? "3" : "0") + " at most");
  r.coded = row[62] & 1;
  r.ramp = row[62] & 2;
  const int width = r.kind == TensorKind::float32 ? 32 : 16;
  if (codes ? r.bits < 1 || r.bits > 8 : r.bits != width)
    refuse(r.name, " has a bit width of " + text(row[61]) + ": expected " + (codes ? "1 to 8" : text(width)));
  read_shape(r, row, row[63]);
  r.levels = read_u32(row + 80);
  r.scales = read_u32(row + 84);
  const bool levels_fit = codes ? r.levels >= (r.ramp ? 3 : 1) && r.levels <= 1u << r.bits : r.levels == 0;
  if (!levels_fit || !(codes ? r.scales == 1 || r.scales == r.shape[0] : r.scales == 0))
    refuse(r.name, ": " + text(r.levels) + " levels and " + text(r.scales) + " scales are not possible");
  r.offset = read_u32(row + 88);
  r.length = read_u32(row + 92);
  check_length(r);
  return r;
}

Tensor::Tensor(const Record &record, const uint8_t *data, const Kernels &kernels) : kind_(record.kind), shape_(record.shape) {
  if (kind_ == TensorKind::codes) {
    try {
      read_codes(record, data, kernels);
    } catch (const FileError &error) {
      throw FileError("tensor '" + record.name + "': " + error.what());
    }
  } else {
    values_.resize(record.elements);
    for (size_t i = 0; i < values_.size(); i++)
      values_[i] = kind_ == TensorKind::float32 ? read_f32(data + 4 * i) : read_f16(data + 2 * i);
  }
  check(record.name);
}

void Tensor::read_codes(const Record &record, const uint8_t *data, const Kernels &kernels) {
  const uint8_t *tables = data;
  if (record.coded) {
    const size_t head = record.table_bytes();
    codes_ = decode_codes(kernels, data + head, record.length - head, record.elements, record.levels);
  } else {
    codes_ = unpack(data, record.elements, record.bits);
    if (record.levels < 1u << record.bits) check_codes(codes_, record.levels);
    const size_t used = record.packed_bytes();
    tables = data + round_up(used, 4);
    if (!all_zero(data + used, tables)) throw FileError("the padding after its codes is not zero.");
  }
  const double first = read_f32(tables), step = read_f32(tables + 4);
  for (uint32_t i = 0; i < record.levels; i++)
    levels_.push_back(record.ramp ? static_cast<float>(first + i * step) : read_f32(tables + 4 * i));
  tables += 4 * (record.ramp ? 2 : record.levels);
  for (uint32_t i = 0; i < record.scales; i++) scales_.push_back(read_f32(tables + 4 * i));
}

void Tensor::check(const std::string &name) const {
  const auto finite = [](float value) { return std::isfinite(value); };
  for (const auto *numbers : {&values_, &levels_, &scales_})
    if (!std::all_of(numbers->begin(), numbers->end(), finite)) refuse(name, ": its numbers hold NaN or infinity");
  if (kind_ != TensorKind::codes) return;
  for (size_t i = 1; i < levels_.size(); i++)
    if (levels_[i] <= levels_[i - 1]) refuse(name, ": levels are not ascending");
  double level = 0, scale = 0;
  for (const double value : levels_) level = std::max(level, std::fabs(value));
  for (const double value : scales_) scale = std::max(scale, std::fabs(value));
  if (level * scale > std::numeric_limits<float>::max()) refuse(name, ": levels times scales overflow float32");
}

std::vector<float> Tensor::values() const {
  if (kind_ != TensorKind::codes) return values_;
  std::vector<float> result(codes_.size());
  const size_t per_scale = codes_.size() / scales_.size();
  for (size_t s = 0, i = 0; s < scales_.size(); s++)
    for (const size_t end = i + per_scale; i < end; i++) result[i] = levels_[codes_[i]] * scales_[s];
  return result;
}

}  // namespace tinywase
