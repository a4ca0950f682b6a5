"""What a network's features say of people's own pictures: which are alike, unclear or mislabeled.

`pictures` lists a folder's pictures with the labels that are known, and `embedding` computes their
features. `similarity` compares them by their cosine. `suggesting` puts together what `uncertainty`
(which pictures to label next) and `confident_learning` (which labels look wrong) find; `findings`
has the results of both, and `similar_page` and `page` show them.
"""
