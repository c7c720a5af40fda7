from pare_bench.builtin.selectors.relaxation import hard_top_k
from pare_bench.contracts.selector import Selection, Selector


class LargestNorm(Selector):
    def __init__(self, params, *, dim):
        super().__init__(params, dim=dim)

    def forward(self, tokens, k):
        if not 0 <= k <= tokens.shape[1]:
            raise ValueError(f"cannot select k = {k} of {tokens.shape[1]} tokens")
        scores = tokens.detach().norm(dim=-1)
        return Selection(*hard_top_k(scores, k), scores)
