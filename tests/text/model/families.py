"""Tiny random models of many families, and what is expected of each: right, or refused with a message."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

SIZES = {
    "vocab_size": 800,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
MOE = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
GPT2 = {
    "vocab_size": 800,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 512,
    "bos_token_id": 2,
    "eos_token_id": 1,
}
SEQ = {
    "vocab_size": 800, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 512,
    "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "decoder_start_token_id": 1,
}  # fmt: skip
T5 = {"vocab_size": 800, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "pad_token_id": 0,
      "eos_token_id": 1, "decoder_start_token_id": 0}  # fmt: skip
LINEAR = {"layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 4, "linear_num_key_heads": 2,
          "linear_key_head_dim": 8, "linear_value_head_dim": 8}  # fmt: skip
MAMBA = {"mamba_d_ssm": 32, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
MLA = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8,
       "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
       "num_key_value_heads": 4}  # fmt: skip

FALCON = {"vocab_size": 800, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "eos_token_id": 1}

DECODERS: dict[str, dict[str, Any]] = {
    name: {}
    for name in (
        "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi", "phi3", "olmo", "olmo2", "olmo3", "granite", "glm",
        "glm4", "starcoder2", "stablelm", "gpt_neox", "persimmon", "nemotron", "smollm3", "helium", "ernie4_5", "arcee",
        "exaone4", "seed_oss", "apertus", "hunyuan_v1_dense", "cohere", "cohere2", "diffllama", "bitnet", "gpt_neox_japanese",
        "ministral", "cwm", "vaultgemma", "xlm-roberta", "roberta", "bert-generation", "electra", "megatron-bert", "bert", "ernie4_5_moe", "nanochat", "jais2",
    )
}  # fmt: skip
DECODERS |= {
    "qwen2_moe": {**MOE, "shared_expert_intermediate_size": 16},
    "qwen3_moe": MOE,
    "mixtral": MOE,
    "olmoe": MOE,
    "granitemoe": MOE,
    "phimoe": MOE,
    "gpt_oss": MOE,
    "minimax": {**MOE, "layer_types": ["linear_attention", "full_attention"], "block_size": 32},
    "deepseek_v3": {**MOE, **MLA},
    "deepseek_v2": {**MOE, **MLA},
    "youtu": MLA,
    "flex_olmo": MOE,
    "glm4_moe": {**MOE, **MLA},
    "bert_decoder": {"model_type": "bert", "is_decoder": True},
    "roberta_decoder": {"model_type": "roberta", "is_decoder": True},
    "gpt2": GPT2,
    "gpt_bigcode": GPT2,
    "gptj": {**GPT2, "rotary_dim": 4},
    "codegen": {**GPT2, "rotary_dim": 4},
    "openai-gpt": GPT2,
    "gpt_neo": {
        "vocab_size": 800,
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "max_position_embeddings": 512,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 16,
        "bos_token_id": 2,
        "eos_token_id": 1,
    },
    "ctrl": {**GPT2, "dff": 64},
    "bloom": {"vocab_size": 800, "hidden_size": 32, "n_layer": 2, "n_head": 4, "eos_token_id": 1, "pad_token_id": 0},
    "falcon": FALCON,
    "falcon_alibi": {"model_type": "falcon", **FALCON, "alibi": True},
    "mpt": {"vocab_size": 800, "d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 512},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "xglm": {"d_model": 32, "ffn_dim": 64, "num_layers": 2, "attention_heads": 4},
    "biogpt": {},
    "xlm": {
        "vocab_size": 800,
        "emb_dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "causal": True,
        "pad_index": 0,
        "eos_index": 1,
    },
    "xlnet": {"vocab_size": 800, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    "trocr": {**SEQ},
    "gemma3_text": {},
    "gemma3n_text": {
        "model_type": "gemma3n_text",
        "vocab_size_per_layer_input": 800,
        "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 0,
        "laurel_rank": 4,
        "activation_sparsity_pattern": [0.0, 0.0],
    },
    "gemma4_text": {},
    "mistral_window": {"model_type": "mistral", "sliding_window": 24},
    "gemma2_window": {"model_type": "gemma2", "sliding_window": 24},
    "gemma3_window": {
        "model_type": "gemma3_text",
        "sliding_window": 24,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "qwen2_window": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 24, "max_window_layers": 1},
    "olmo3_window": {"model_type": "olmo3", "sliding_window": 24},
    "cohere2_window": {"model_type": "cohere2", "sliding_window": 24},
    "gpt_oss_window": {"model_type": "gpt_oss", **MOE, "sliding_window": 24},
    "llama4_text": {**MOE, "attention_chunk_size": 8192, "intermediate_size_mlp": 64, "interleave_moe_layer_step": 2},
    "llama4_chunks": {
        "model_type": "llama4_text",
        **MOE,
        "attention_chunk_size": 24,
        "intermediate_size_mlp": 64,
        "interleave_moe_layer_step": 2,
    },
    "llama_dynamic": {
        "model_type": "llama",
        "max_position_embeddings": 24,
        "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
    },
    "phi3_longrope": {
        "model_type": "phi3",
        "original_max_position_embeddings": 24,
        "max_position_embeddings": 512,
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4,
            "original_max_position_embeddings": 24,
        },
    },
    "qwen3_5_text": LINEAR,
    "qwen3_next": {**LINEAR, **MOE, "shared_expert_intermediate_size": 16},
    "kimi_linear": {**LINEAR, **MOE},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "falcon_h1": {**MAMBA, "mamba_n_heads": 4},
    "granitemoehybrid": {
        **MAMBA,
        "layer_types": ["mamba", "attention"],
        "num_local_experts": 0,
        "shared_intermediate_size": 64,
    },
    "nemotron_h": {
        "layers_block_type": ["mamba", "attention"],
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 1,
    },
    "jamba": {
        "num_experts": 2,
        "use_mamba_kernels": False,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "mamba_d_state": 8,
    },
    "bamba": {**MAMBA, "attn_layer_indices": [1]},
    "zamba": {
        "use_mamba_kernels": False,
        "n_mamba_heads": 2,
        "mamba_d_state": 8,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
    },
    "zamba2": {
        "mamba_d_state": 8,
        "n_mamba_heads": 8,
        "mamba_headdim": 8,
        "mamba_ngroups": 1,
        "use_mamba_kernels": False,
        "layers_block_type": ["mamba", "hybrid"],
        "hybrid_layer_ids": [1],
        "use_shared_mlp_adapter": False,
        "adapter_rank": 4,
    },
    "recurrent_gemma": {"lru_width": 32, "attention_window_size": 2048, "block_types": ["recurrent", "attention"]},
    "mamba": {
        "vocab_size": 800,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "eos_token_id": 1,
        "pad_token_id": 0,
    },
    "falcon_mamba": {
        "vocab_size": 800,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "eos_token_id": 1,
        "pad_token_id": 0,
    },
    "mamba2": {
        "vocab_size": 800,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 8,
        "num_heads": 8,
        "head_dim": 8,
        "n_groups": 1,
        "eos_token_id": 1,
        "pad_token_id": 0,
    },
    "rwkv": {
        "vocab_size": 800,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "attention_hidden_size": 32,
        "intermediate_size": 64,
        "context_length": 512,
    },
    "xlstm": {"vocab_size": 800, "hidden_size": 32, "num_hidden_layers": 2, "num_heads": 4},
    "lfm2_moe": {**MOE, "layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "doge": {**MOE},
    "moshi": {},
}
ENCODER_DECODERS: dict[str, dict[str, Any]] = {
    "t5": T5,
    "mt5": T5,
    "umt5": T5,
    "longt5": {**T5, "local_radius": 7},
    "switch_transformers": {**T5, "num_experts": 2, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    "t5gemma": {"encoder": {k: v for k, v in SIZES.items()}, "decoder": {k: v for k, v in SIZES.items()}, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2},
    "bart": SEQ,
    "mbart": SEQ,
    "mbart_without_start": {**SEQ, "model_type": "mbart", "decoder_start_token_id": None, "bos_token_id": None},
    "pegasus": SEQ,
    "pegasus_x": {**SEQ, "block_size": 16, "num_global_tokens": 4},
    "bigbird_pegasus": {**SEQ, "attention_type": "original_full"},
    "blenderbot": SEQ,
    "blenderbot-small": SEQ,
    "marian": SEQ,
    "m2m_100": SEQ,
    "nllb-moe": {**SEQ, "num_experts": 2, "expert_capacity": 64},
    "plbart": SEQ,
    "led": {**SEQ, "attention_window": [16, 16], "max_encoder_position_embeddings": 512, "max_decoder_position_embeddings": 512},
    "mvp": SEQ,
    "fsmt": {**SEQ, "langs": ["a", "b"], "src_vocab_size": 800, "tgt_vocab_size": 800},
    "prophetnet": {"vocab_size": 800, "hidden_size": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_encoder_layers": 2, "num_decoder_layers": 2,
                   "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4, "max_position_embeddings": 512, "decoder_start_token_id": 1,
                   "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2},
}  # fmt: skip


def build(name: str) -> Any:
    """Return a random model of a family, with weights large enough for differences to show."""
    seq2seq = name in ENCODER_DECODERS
    changes = dict((ENCODER_DECODERS if seq2seq else DECODERS)[name])
    kind = changes.pop("model_type", name)
    if not seq2seq and "vocab_size" not in changes:
        changes = {**SIZES, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, **changes)
        for key in ("encoder_no_repeat_ngram_size",):
            if hasattr(config, key):
                setattr(config, key, 0)
        model = (AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM).from_config(config).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() >= 2:
                    weight.mul_(3)
    return model
