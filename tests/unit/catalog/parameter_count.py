"""Parameters of a catalog row, counted from its sizes alone: one product of a shape after the other."""


def count(row):
    """Matrices and embeddings; norms and biases are left out, which are below 0.05 %."""
    hidden, matrices = row["hidden_size"], row["matrices"]
    total = row["vocabulary"] * hidden * (1 if row["tied_embeddings"] else 2)
    total += matrices.get("positions", 0) * hidden
    total += row.get("attention_layers", row["layers"]) * attention(row)
    total += sum(layers * size * hidden * each for layers, size, each in matrices.get("feed_forward", ()))
    total += experts(row)
    if "recurrence" in matrices:
        layers, into, out = matrices["recurrence"]
        total += layers * (hidden * into + out * hidden)
    return total + row.get("encoder_parameters", 0)


def attention(row):
    """One layer: queries, keys, values, output; or their low-rank forms."""
    hidden, heads, head_dim = row["hidden_size"], row["heads"], row["head_dim"]
    latent = row["matrices"].get("latent")
    if latent is None:
        gate = heads if row["matrices"].get("gated_attention") else 0
        return hidden * head_dim * (2 * heads + gate + 2 * row["kv_heads"])
    rank, rope, value = latent["rank"], latent["rope"], latent["value"]
    queries = latent["query_rank"] * (hidden + heads * head_dim) if latent["query_rank"] else 0
    queries = queries or hidden * heads * head_dim
    return (
        queries + hidden * (rank + rope) + rank * heads * (head_dim - rope + value) + heads * value * hidden
    )


def experts(row):
    """All routed and shared experts of all layers, with routers."""
    if "experts" not in row:
        return 0
    inner, size, each = row["matrices"]["expert"]
    total = row["moe_layers"] * row["experts"] * (inner * size * each + row["hidden_size"])
    if inner != row["hidden_size"]:
        total += row["moe_layers"] * 2 * row["hidden_size"] * inner
    layers, shared, each = row["matrices"].get("shared_expert", (0, 0, 0))
    return total + layers * shared * row["hidden_size"] * each


def published(text):
    """A total as its publisher states it, such as 8.03B, and half a unit of its last digit."""
    unit = {"M": 1e6, "B": 1e9, "T": 1e12}[text[-1]]
    decimals = len(text[:-1].partition(".")[2])
    return float(text[:-1]) * unit, 0.5 * unit / 10**decimals
