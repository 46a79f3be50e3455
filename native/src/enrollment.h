// What a voiceprint encoder is to hear of an enrollment: speech alone, without a mean, at one level.
#pragma once

#include <cstddef>

namespace tinywase {

// In place, as src/tinywase/data/activity.py does it; returns how many samples are left at the beginning: none of silence.
size_t prepare_enrollment(float *samples, size_t count, int rate_hz);

}  // namespace tinywase
