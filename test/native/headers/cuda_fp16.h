// As much of CUDA's header as NCCL's needs: nothing.
#pragma once
