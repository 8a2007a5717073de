// The dynamic maps of 8 bits (Dettmers, 2015): the value of each code, bit for bit as in bitsandbytes' create_dynamic_map.
#pragma once

namespace lowrank {

// 256 values in rising order.
const float* dynamic_map();           // signed, from -0.99 to 1: of first moments and of the maxima of nf4
const float* dynamic_map_unsigned();  // from 0 to 1: of second moments

}  // namespace lowrank
