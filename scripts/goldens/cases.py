"""The golden models: one row for each, as options of transformers' config of its model_type and peft's LoraConfig.

Sizes are the smallest that still reach the edges of the kernels; a folder stays under 150 KB.
"""
from dataclasses import dataclass, field

# Every model differs from this base only in its row's keys.
BASE = dict(
    vocab_size=110, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=True,
    bos_token_id=0, eos_token_id=1, pad_token_id=1)
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
# Families with other names of the keys have a base of their own.
GPT2 = dict(vocab_size=70, n_positions=64, n_embd=24, n_inner=42, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=1, pad_token_id=1,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
OPT = dict(vocab_size=70, max_position_embeddings=64, hidden_size=24, word_embed_proj_dim=24, ffn_dim=42, num_hidden_layers=2,
           num_attention_heads=3, bos_token_id=0, eos_token_id=1, pad_token_id=1, dropout=0.0)
FALCON = dict(vocab_size=70, hidden_size=24, ffn_hidden_size=42, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=64,
              bos_token_id=0, eos_token_id=1, pad_token_id=1)
COMMON = dict(vocab_size=70, bos_token_id=0, eos_token_id=1, pad_token_id=1)
GPT_NEO = dict(COMMON, max_position_embeddings=64, hidden_size=24, intermediate_size=42, num_layers=2, num_heads=3,
               attention_types=[[["global", "local"], 1]], window_size=5)
GPT_NEOX = dict(COMMON, max_position_embeddings=64, hidden_size=24, intermediate_size=42, num_hidden_layers=2, num_attention_heads=3)
GPTJ = dict(COMMON, n_positions=64, n_embd=24, n_inner=42, n_layer=2, n_head=3, rotary_dim=6)
BLOOM = dict(COMMON, hidden_size=24, n_layer=2, n_head=3)
PHI = dict(COMMON, max_position_embeddings=64, hidden_size=24, intermediate_size=42, num_hidden_layers=2, num_attention_heads=3)
STABLELM = dict(COMMON, max_position_embeddings=64, hidden_size=48, intermediate_size=42, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2)
COHERE = dict(COMMON, max_position_embeddings=64, hidden_size=24, intermediate_size=42, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2)


@dataclass
class Case:
    name: str
    about: str
    model: dict = field(default_factory=dict)
    lora: dict = field(default_factory=dict)
    loraplus_lr_ratio: float = 1.0
    dtype: str = "float32"
    model_type: str = "llama"
    longest: int = 19  # tokens of the longest sequence of every micro-batch
    small_scores: bool = False  # q and k are smaller, as in trained models: where scores are not scaled, or bf16 would turn the gradients below them
    base: dict = field(default_factory=lambda: BASE)


CASES = [
    Case("mha-tied", "as many key/value heads as query heads, tied head", dict(num_key_value_heads=4)),
    Case("gqa-untied", "grouped-query attention, a head of its own", dict(tie_word_embeddings=False, intermediate_size=48)),
    Case("bias-head-dim", "a head dim that is not hidden/heads, biases on every linear, adapters on the MLP alone",
         dict(head_dim=12, attention_bias=True, mlp_bias=True), dict(target_modules=["gate_proj", "up_proj", "down_proj"], r=2)),
    Case("rope-linear", "linear position scaling",
         dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0))),
    Case("rope-dynamic", "NTK scaling, every micro-batch longer than the trained context",
         dict(max_position_embeddings=16, rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0)), longest=29),
    Case("rope-llama3", "wavelengths that are kept, interpolated and stretched",
         dict(num_attention_heads=2, num_key_value_heads=1, rope_parameters=dict(
             rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
             original_max_position_embeddings=32))),
    Case("stored-bf16", "weights stored in bf16, q_proj and v_proj alone",
         dict(hidden_size=64, num_attention_heads=4), dict(target_modules=["q_proj", "v_proj"], r=3), dtype="bfloat16"),
    Case("rslora-all-linear", "rsLoRA scaling, every linear", dict(intermediate_size=40),
         dict(target_modules="all-linear", use_rslora=True, r=3)),
    Case("odd-sizes-f16", "sizes that are multiples of nothing, weights stored in f16",
         dict(hidden_size=45, intermediate_size=85, vocab_size=131, num_attention_heads=3, num_key_value_heads=1, head_dim=14),
         dict(r=3), dtype="float16", longest=33),
    Case("qwen2", "biases on q, k and v, tied head", dict(intermediate_size=48), model_type="qwen2"),
    Case("mistral", "a window shorter than the texts, a head dim that is not hidden/heads",
         dict(head_dim=12, sliding_window=7), model_type="mistral"),
    Case("qwen3", "norms of the heads of q and k, a window in the upper layer",
         dict(head_dim=12, use_sliding_window=True, sliding_window=6, max_window_layers=1), model_type="qwen3"),
    Case("gemma", "GEGLU, norms of 1 + weight, a scaled embedding", dict(head_dim=12, num_key_value_heads=1), model_type="gemma"),
    Case("gemma2", "norms around each part, caps, a layer with a window and one without",
         dict(head_dim=12, sliding_window=6, query_pre_attn_scalar=20, attn_logit_softcapping=5.0, final_logit_softcapping=3.0),
         model_type="gemma2"),
    Case("gemma3", "layers with a window and with another rope, linear scaling in the full layer",
         dict(head_dim=12, sliding_window=6, query_pre_attn_scalar=20, layer_types=["sliding_attention", "full_attention"],
              rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                                   sliding_attention=dict(rope_type="default", rope_theta=1e4))),
         model_type="gemma3_text"),
    Case("phi3", "q, k and v in one linear, gate and up in another, partial rotary positions, longrope beyond the trained context",
         dict(original_max_position_embeddings=12, rope_parameters=dict(
             rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.5, short_factor=[1.0, 1.5], long_factor=[2.0, 5.0])),
         dict(target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], r=2), model_type="phi3"),
    Case("smollm3", "every second layer without rotary positions", dict(no_rope_layer_interval=2), model_type="smollm3"),
    Case("olmo2", "norms after each part alone, norms of all of q and all of k", model_type="olmo2"),
    Case("granite", "factors of embedding, scores, residuals and logits",
         dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=2.0), model_type="granite"),
    Case("patterns", "ranks and alphas of single modules, one module and one layer without an adapter",
         dict(num_hidden_layers=3, intermediate_size=32),
         dict(r=3, target_modules=["q_proj", "k_proj", "v_proj", "up_proj", "gate_proj", "down_proj"], layers_to_transform=[0, 2],
              layers_pattern=["layers"], exclude_modules=["layers.2.self_attn.v_proj", "down_proj"],
              rank_pattern={"q_proj": 5, r"layers\.0\.self_attn\.k_proj": 2, ".*gate_proj": 4},
              alpha_pattern={"up_proj": 12, "(q|k)_proj": 2.5})),
    Case("dora", "magnitudes of the outputs, biases on every linear, a rank of one module",
         dict(intermediate_size=40, attention_bias=True, mlp_bias=True),
         dict(target_modules=["q_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], r=3, use_dora=True,
              rank_pattern={"k_proj": 5})),
    Case("lora-bias-plus", "biases of B, a larger learning rate for B and its biases",
         dict(intermediate_size=40, attention_bias=True, mlp_bias=True),
         dict(target_modules=["q_proj", "v_proj", "o_proj", "up_proj"], r=3, lora_bias=True), loraplus_lr_ratio=4.0),
    Case("gpt2", "Conv1D weights, LayerNorm, learned positions, q, k and v in one linear", base=GPT2, model_type="gpt2",
         lora=dict(target_modules=["c_attn", "c_proj"], fan_in_fan_out=True, r=3)),
    Case("opt", "learned positions from row 2 on, ReLU", base=OPT, model_type="opt", lora=dict(target_modules=["q_proj", "v_proj", "fc1", "fc2"], r=2)),
    Case("falcon-7b", "one key/value head, attention and MLP of one norm side by side", base=FALCON, model_type="falcon",
         lora=dict(target_modules=["query_key_value", "dense", "dense_h_to_4h"], r=2)),
    Case("falcon-40b", "key/value heads for groups, a norm for attention and a norm for the MLP, an untied head",
         dict(new_decoder_architecture=True, num_attention_heads=6, num_kv_heads=3, bias=True, tie_word_embeddings=False), base=FALCON, model_type="falcon",
         lora=dict(target_modules=["query_key_value", "dense_4h_to_h"], r=2)),
    Case("falcon-rw", "biases of keys (ALiBi) in the place of positions, attention before MLP, heads of their own",
         dict(alibi=True, parallel_attn=False, multi_query=False, bias=True), base=FALCON, model_type="falcon",
         lora=dict(target_modules=["query_key_value", "dense", "dense_h_to_4h"], r=2)),
    Case("gpt-neo", "layers with a window and without, scores that are not scaled", base=GPT_NEO, model_type="gpt_neo",
         lora=dict(target_modules=["q_proj", "v_proj", "k_proj", "out_proj", "c_fc"], r=2), small_scores=True),
    Case("gpt-neox", "q, k and v of each head side by side, a quarter of a head rotates, attention and MLP side by side with a norm each", base=GPT_NEOX,
         model_type="gpt_neox", lora=dict(target_modules=["query_key_value", "dense_4h_to_h"], r=2)),
    Case("gpt-neox-serial", "MLP after attention, linear rope, no biases of attention",
         dict(use_parallel_residual=False, attention_bias=False, rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=2000.0, partial_rotary_factor=0.5)),
         base=GPT_NEOX, model_type="gpt_neox", lora=dict(target_modules=["query_key_value", "dense", "dense_h_to_4h"], r=2)),
    Case("gptj", "neighbouring columns rotate in part of a head, a head with a bias", base=GPTJ, model_type="gptj",
         lora=dict(target_modules=["q_proj", "v_proj", "fc_in", "fc_out"], r=2)),
    Case("bloom", "biases of keys (ALiBi) of three heads, a norm of the embedding", base=BLOOM, model_type="bloom",
         lora=dict(target_modules=["query_key_value", "dense", "dense_4h_to_h"], r=2)),
    Case("phi", "attention and MLP of one norm, norms of q and k, a head with a bias", dict(qk_layernorm=True, num_key_value_heads=1), base=PHI,
         model_type="phi", lora=dict(target_modules=["q_proj", "v_proj", "fc1", "fc2"], r=2)),
    Case("stablelm", "LayerNorm with SwiGLU, a norm for each head of q and k", dict(qk_layernorm=True, use_qkv_bias=True), base=STABLELM,
         model_type="stablelm", lora=dict(target_modules=["q_proj", "k_proj", "v_proj", "up_proj"], r=2)),
    Case("stablelm-parallel", "the same side by side, of one norm", dict(use_parallel_residual=True, num_key_value_heads=3), base=STABLELM,
         model_type="stablelm", lora=dict(target_modules=["q_proj", "v_proj", "gate_proj", "down_proj"], r=2)),
    Case("cohere", "LayerNorm without a bias, neighbouring columns rotate, norms of q and k with weights of each head, scaled logits",
         dict(use_qk_norm=True, logit_scale=0.25), base=COHERE, model_type="cohere", lora=dict(target_modules=ATTENTION, r=2)),
    Case("cohere2", "windows and rotary positions in three of four layers", dict(num_hidden_layers=4, sliding_window=7, logit_scale=0.25, attention_bias=True),
         base=COHERE, model_type="cohere2", lora=dict(target_modules=["q_proj", "v_proj", "up_proj"], r=2)),
    Case("whole-untied", "embedding and head train whole", dict(tie_word_embeddings=False, intermediate_size=48, vocab_size=60),
         dict(target_modules=["q_proj", "down_proj"], r=2, modules_to_save=["embed_tokens", "lm_head"])),
    Case("whole-gemma2", "the embedding trains whole, apart from the head that it was, scaled; capped logits",
         dict(head_dim=12, sliding_window=6, query_pre_attn_scalar=20, attn_logit_softcapping=5.0, final_logit_softcapping=3.0,
              vocab_size=80),
         dict(target_modules=["v_proj"], r=2, layers_to_transform=[1], modules_to_save=["embed_tokens"]), model_type="gemma2"),
    Case("whole-bloom", "an embedding with a norm and the head that it was train whole, apart", base=BLOOM, model_type="bloom",
         lora=dict(target_modules=["dense"], r=2, modules_to_save=["word_embeddings", "lm_head"])),
    Case("whole-gptj", "a head with a bias trains whole", base=GPTJ, model_type="gptj",
         lora=dict(target_modules=["q_proj"], r=2, modules_to_save=["lm_head"])),
    Case("tokens-untied", "rows of some tokens train, of others in the embedding than in the head", dict(tie_word_embeddings=False, intermediate_size=48, vocab_size=60),
         dict(target_modules=["q_proj", "down_proj"], r=2, trainable_token_indices={"embed_tokens": [41, 7, 30], "lm_head": [7, 59]})),
    Case("tokens-gemma2", "rows of some tokens train in a scaled embedding and in the head that it is, capped logits",
         dict(head_dim=12, sliding_window=6, query_pre_attn_scalar=20, attn_logit_softcapping=5.0, final_logit_softcapping=3.0,
              vocab_size=80),
         dict(target_modules=["v_proj"], r=2, layers_to_transform=[1], trainable_token_indices={"embed_tokens": [79, 2, 40, 41]}), model_type="gemma2"),
    Case("opt-350m", "norms after each part, an embedding narrower than the stream, which rows of tokens train in", dict(word_embed_proj_dim=15, do_layer_norm_before=False), base=OPT,
         model_type="opt", lora=dict(target_modules=["q_proj", "v_proj", "fc1", "out_proj"], r=2, trainable_token_indices={"embed_tokens": [5, 69, 12]})),
    Case("tokens-bloom", "rows of some tokens train in an embedding with a norm and in the head that it is", base=BLOOM, model_type="bloom",
         lora=dict(target_modules=["dense"], r=2, trainable_token_indices={"word_embeddings": [5, 69, 12]})),
    Case("opt-350m-all-linear", "adapters of the projections between the stream and a narrower embedding", dict(word_embed_proj_dim=15, do_layer_norm_before=False),
         base=OPT, model_type="opt", lora=dict(target_modules="all-linear", r=3), small_scores=True),
    Case("opt-350m-dora", "magnitudes of the projections alone, which also rows of tokens train beside", dict(word_embed_proj_dim=15, do_layer_norm_before=False),
         base=OPT, model_type="opt", lora=dict(target_modules=["project_in", "project_out"], r=2, use_dora=True, trainable_token_indices={"embed_tokens": [5, 69, 12]}),
         small_scores=True),
]
