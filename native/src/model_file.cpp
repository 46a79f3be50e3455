#include "model_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

namespace tinywase {
namespace {

constexpr size_t kHeaderBytes = 256, kRecordBytes = 96, kCrcAt = 28, kPayloadAlignment = 64, kDataAlignment = 16;
constexpr uint32_t kVersion = 4;  // the newest

[[noreturn]] void refuse(const std::string &why) { throw FileError(why + "."); }

// zlib's CRC-32 of the file without the four bytes that hold it; eight bytes a step, so that megabytes take milliseconds.
class Checksum {
 public:
  Checksum() {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
      tables_[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
      for (size_t t = 1; t < 8; t++) tables_[t][i] = tables_[t - 1][i] >> 8 ^ tables_[0][tables_[t - 1][i] & 255];
  }
  void add(const uint8_t *p, const uint8_t *end) {
    for (; end - p >= 8; p += 8) {
      const uint32_t low = crc_ ^ read_u32(p);
      crc_ = tables_[3][p[4]] ^ tables_[2][p[5]] ^ tables_[1][p[6]] ^ tables_[0][p[7]];
      for (int i = 0; i < 4; i++) crc_ ^= tables_[7 - i][low >> 8 * i & 255];
    }
    for (; p < end; p++) crc_ = tables_[0][(crc_ ^ *p) & 255] ^ crc_ >> 8;
  }
  uint32_t value() const { return ~crc_; }

 private:
  std::array<std::array<uint32_t, 256>, 8> tables_;
  uint32_t crc_ = ~0u;
};

// Where the parts of the file lie.
struct Parts {
  uint64_t count, table_end, payload, payload_end;
};

// `bytes`: the header, or what there is of it.
Parts check_parts(const uint8_t *bytes, size_t size) {
  if (size < 4 || std::memcmp(bytes, "TWSE", 4) != 0) refuse("it does not begin with \"TWSE\": not a tinywase model");
  if (size < kHeaderBytes) refuse("it is cut short: " + text(size) + " bytes, less than its header of " + text(kHeaderBytes));
  if (read_u32(bytes + 4) < 1 || read_u32(bytes + 4) > kVersion)
    refuse("it has the format version " + text(read_u32(bytes + 4)) + ", this tinywase reads 1 to " + text(kVersion) +
           ": update tinywase, or export the model again");
  const uint64_t said = read_u32(bytes + 8), card = read_u32(bytes + 24);
  if (size < said) refuse("it is cut short: " + text(size) + " bytes, its header says " + text(said));
  if (size > said) refuse("bytes follow after the " + text(said) + " that its header says (trailing bytes)");
  Parts parts;
  parts.count = read_u32(bytes + 12);
  parts.payload = read_u32(bytes + 16);
  parts.table_end = kHeaderBytes + kRecordBytes * parts.count;
  parts.payload_end = parts.payload + read_u32(bytes + 20);
  if (parts.payload != round_up(parts.table_end, kPayloadAlignment) || parts.payload_end + card != size)
    refuse("its parts (" + text(parts.count) + " tensors, payload " + text(parts.payload) + " to " + text(parts.payload_end) +
           ", card of " + text(card) + " bytes) do not add up to its " + text(size) + " bytes");
  return parts;
}

// Data lies one after the other: no overlap, no hole, nothing outside, zeros between.
void check_places(const Source &source, const std::vector<Record> &records, const Parts &parts) {
  uint64_t free = parts.table_end, expected = parts.payload;
  for (const Record &r : records) {
    const uint64_t end = r.offset + r.length;
    if (end > parts.payload_end)
      refuse("tensor '" + r.name + "' lies outside the payload: bytes " + text(r.offset) + " to " + text(end) + " of " +
             text(parts.payload_end));
    if (r.offset != expected)
      refuse("tensor '" + r.name + "' at offset " + text(r.offset) + (r.offset < expected ? " overlaps the part" : " leaves a hole") +
             " before it: expected offset " + text(expected));
    const auto padding = source.bytes(free, expected - free);
    if (!all_zero(padding.data(), padding.data() + padding.size())) refuse("the padding before tensor '" + r.name + "' is not zero");
    free = end;
    expected = round_up(free, kDataAlignment);
  }
  if (free != parts.payload_end) refuse(text(parts.payload_end - free) + " bytes of the payload belong to no tensor (a hole at its end)");
}

void check_sum(const Source &source, uint32_t expected) {
  Checksum checksum;
  std::vector<uint8_t> piece(size_t{1} << 16);
  for (size_t at = 0, count; at < source.size(); at += count) {  // the first piece ends before the sum itself
    if (at == kCrcAt) at += 4;
    count = std::min(at == 0 ? kCrcAt : piece.size(), source.size() - at);
    source.read(at, count, piece.data());
    checksum.add(piece.data(), piece.data() + count);
  }
  if (checksum.value() != expected) refuse("its checksum (CRC-32) does not match its contents");
}

}  // namespace

ModelFile::ModelFile(const Source &source, const Kernels &kernels) : source_(source), kernels_(kernels) {
  const auto header = source.bytes(0, std::min(source.size(), kHeaderBytes));
  const Parts parts = check_parts(header.data(), source.size());
  config_ = Config::read(header.data());
  const auto table = source.bytes(kHeaderBytes, kRecordBytes * parts.count);
  std::vector<Record> records;
  for (uint64_t i = 0; i < parts.count; i++) records.push_back(Record::read(table.data() + kRecordBytes * i));
  check_names(records);
  check_places(source, records, parts);
  check_sum(source, read_u32(header.data() + kCrcAt));
  for (Record &record : records) {
    const std::string name = record.name;
    records_.emplace(name, std::move(record));
  };
  for (const std::string &name : activation_points(config_)) point(name);
}

Tensor ModelFile::tensor(const std::string &name) const {
  const Record &record = records_.at(name);
  return Tensor(record, source_.bytes(record.offset, record.length).data(), kernels_);
}

void ModelFile::check_names(const std::vector<Record> &records) const {
  const Shapes expected = expected_tensors(config_);
  Shapes allowed = expected;
  for (const std::string &point : activation_points(config_))
    for (const char *part : {".scale", ".zero_point", ".bits"}) allowed[point + part] = {1};
  std::set<std::string> seen;
  for (const Record &r : records) {
    const auto wanted = allowed.find(r.name);
    if (wanted == allowed.end()) refuse("tensor '" + r.name + "' is unknown to the configuration '" + config_.name + "' it comes with");
    if (r.shape != wanted->second) refuse("tensor '" + r.name + "' has another shape than its configuration expects");
    if (!seen.insert(r.name).second) refuse("tensor '" + r.name + "' is there twice: expected once");
  }
  for (const auto &[name, shape] : expected)
    if (!seen.count(name)) refuse("tensor '" + name + "' is missing: the configuration '" + config_.name + "' needs it");
}

ActivationPoint ModelFile::point(const std::string &name) const {
  float parts[3];
  int found = 0, floats = 0;
  for (const char *part : {".scale", ".zero_point", ".bits"}) {
    const auto at = records_.find(name + part);
    if (at == records_.end()) continue;
    if (at->second.kind == TensorKind::float32) floats++;
    parts[found++] = tensor(at->first).values()[0];
  }
  if (!found) return {};
  if (floats != 3) refuse("activation '" + name + "': expected float32 scale, zero_point and bits, all three");
  const auto [scale, zero_point, bits] = parts;
  if (!(scale > 0) || zero_point != std::floor(zero_point) || std::fabs(zero_point) >= 1 << 24 || bits != std::floor(bits) ||
      bits < 1 || bits > 16)
    refuse("activation '" + name + "': expected a positive scale, an integer zero point and 1 to 16 bits");
  return {true, scale, static_cast<int>(zero_point), static_cast<int>(bits)};
}

}  // namespace tinywase
