"""Networks that have seen many photographs, for a few hundred of somebody's own.

`fine_tuning` has the public function. `cut` divides a network into a lower part, which stays as it
is, and an upper part; `features` computes the lower part of pictures in `views`, and
`feature_cache` keeps it. `head` fits the last layer by `logistic`; `blocks` trains the upper part
on `byte_maps`. `depth` chooses between them.
"""
