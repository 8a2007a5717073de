// Whether a stored tensor holds numbers only, and the error where it does not.
#pragma once
#include "model/spec.h"

namespace lowrank {

// Whether the n blocks of a format that lie at p (elements of a plain one) hold numbers only, as far as their scales go.
bool holds_numbers(Format, const char* p, int64_t n);

// Error E_TENSOR_VALUE: an element of the tensor is NaN or infinite.
[[noreturn]] void throw_not_finite(const TensorEntry&);

// Looks at every element of the tensor, as its file has it; the file is read, not mapped. Error E_TENSOR_VALUE; E_FILE where it is
// shorter than the tensor says.
void check_finite(const TensorEntry&, int threads);

}  // namespace lowrank
