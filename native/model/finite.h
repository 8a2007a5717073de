// Whether a stored tensor holds numbers only.
#pragma once
#include "model/spec.h"

namespace lowrank {

// Whether the n blocks of a format that lie at p (elements of a plain one) hold numbers only, as far as their scales go.
bool holds_numbers(Format, const char* p, int64_t n);

// False where an element of the tensor, as its file has it, is NaN or infinite. The file is read, not mapped.
// Error E_FILE where it is shorter than the tensor says.
bool is_finite(const TensorEntry&, int threads);

}  // namespace lowrank
