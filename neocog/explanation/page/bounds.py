"""What an explanation's page may take, for networks of any size.

A page has at most 10 MB: `MOST_NUMBERS` float32 in base64 are 8.3 MB, and the program, the
sentences, the photograph and the pictures that activate filters are the rest. Maps that do not fit
are left out (`rationing`), and the explorer fetches them. The network is run for at most
`MOST_PREDICTIONS` images, `MOST_FILTER_WORK` limits the search for top activations.
"""

__all__ = [
    "MOST_BYTES",
    "MOST_FILTER_WORK",
    "MOST_NUMBERS",
    "MOST_PHOTOGRAPH_SIDE",
    "MOST_PREDICTIONS",
    "MOST_SHOWN",
    "SPRITE_BYTES",
    "SPRITE_SIDE",
]

#: Bytes of a page.
MOST_BYTES = 10_000_000
#: Numbers in a page.
MOST_NUMBERS = 1_550_000
#: Channels that are shown of a layer that has more.
MOST_SHOWN = 16
#: Images that are predicted for the maps of what the network looks at.
MOST_PREDICTIONS = 600
#: Multiply-adds for the search of the images that activate filters most.
MOST_FILTER_WORK = 300_000_000_000
#: Pixels of the longer side of a photograph under a map.
MOST_PHOTOGRAPH_SIDE = 640
#: Pixels of the longer side of an image that activates a filter.
SPRITE_SIDE = 96
#: Bytes of the picture with all images that activate the filters of a layer, as far as JPEG can.
SPRITE_BYTES = 150_000
