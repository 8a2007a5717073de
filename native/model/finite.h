// Whether a stored tensor holds numbers only, and the error where it does not.
#pragma once
#include "model/spec.h"
#include "quant/quantize.h"

namespace lowrank {

// Whether the n blocks of a format that lie at p (elements of a plain one) hold numbers only, as far as their scales go.
bool holds_numbers(Format, const char* p, int64_t n);

// What became of the tensor. Error E_TENSOR_VALUE: an element is NaN, infinite, or beyond what its codes can stand for.
void check_quantized(const TensorEntry&, const QuantizedWeight&);

// Looks at every element of the tensor, as its file has it; the file is read, not mapped. Error E_TENSOR_VALUE; E_FILE where it is
// shorter than the tensor says.
void check_finite(const TensorEntry&, int threads);

}  // namespace lowrank
