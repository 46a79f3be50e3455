// What networks are to hear of recordings: no mean, one level; of enrollments speech alone.
#pragma once

#include <cstddef>

namespace tinywase {

// In place, as src/tinywase/activity.py does it; returns how many samples are left at the beginning: none of silence.
size_t prepare_enrollment(float *samples, size_t count, int rate_hz);

// The same for a whole mixture, without the cutting; returns the factor, 1 for silence, which stays silent.
float set_level(float *samples, size_t count);

}  // namespace tinywase
