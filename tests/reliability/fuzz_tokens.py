r"""Words of file formats, which a fuzzer puts into its inputs; \x escapes bytes."""

from __future__ import annotations

_WORDS = {
    "json": r"""null true -1 1e999 NaN "" [] {} "\x5cud800" [[[[ 1e400 10101010101010101010""",
    "numbers": r"""nan inf -0 1e400 0x10 1_0 \xd9\xa3 255.0000001 256 -1 .5 99999999999999999999""",
    "sides": r"""mnistprep.json classes shape index.txt dataset_info.json ..""",
    "sizes": r"""\xff\xff\xff\xff \xff\xff\xff\x7f \x00\x00\x00\x80
        \xff\xff\xff\xff\xff\xff\xff\xff""",
    "idx": r"""\x00\x00\x08\x03 \x00\x00\x0c\x01 \x00\x00\x0c\x02 \x00\x00\x0e\x02
        \x00\x00\x08\x01""",
    "npy": r"""'descr':\x20 'fortran_order':\x20True 'shape':\x20( |O <f8 >i4 |u1 |S3 <M8[s] >f2 <c8
        <U3 x_train y_train""",
    "zip": r"""PK\x01\x02 PK\x03\x04 PK\x05\x06 PK\x06\x06 PK\x06\x07 ../x /etc/x C:""",
    "tar": r"""ustar path= size= GNU.sparse PaxHeader linkpath=""",
    "opcodes": r"""cos\x0asystem\x0a \x93 \x81 R b \x8a\xff \x8d\xff\xff\xff\xff\xff\xff\xff\xff
        B\xff\xff\xff\x7f T\xff\xff\xff\x7f \x95 P0\x0a Q i \x94 h\x00 0 2 \x85 ( t .""",
    "torch": r"""torch._utils\x0a_rebuild_tensor_v2\x0a torch\x0aFloatStorage\x0a storage cpu""",
    "csv": r"""label pixel0 1x1 " "" , ; \x09 \x0d\x0a \x00 \xef\xbb\xbf =1+1 split""",
    "arff": r"""@relation @attribute @data numeric real integer string {0,1} date relational @end %
        ? '        " {0\x201,\x203\x204} ,{2} \x5c'""",
    "libsvm": r""": 1: 784: qid: # \x00 \x20""",
    "safetensors": r"""dtype shape data_offsets __metadata__ F8_E5M2 U8 I64 BF16""",
    "tables": r"""PAR1 ARROW1 huggingface ClassLabel bytes path image label""",
    "records": r"""image/encoded image/class/label label image height \x0a \x12 \x1a .png .cls .json
        .npy""",
    "hdf5": r"""TREE SNOD HEAP GCOL OHDR x_train features targets""",
    "mat": r"""IM \x0e\x00\x00\x00 \x0f\x00\x00\x00 \x01\x00\x01\x00""",
    "pictures": r"""IHDR PLTE tRNS IDAT IEND acTL Exif GIF89a RIFF WEBPVP8X \xff\xd8\xff""",
    "labels": r"""file_name 0.png label filename class""",
    "http": r"""Content-Range:\x20 bytes\x20 /* Retry-After:\x20 ETag:\x20 \x20GMT
        99999999999999999999""",
}


def tokens(*kinds: str) -> tuple[bytes, ...]:
    """The words of these kinds, as bytes."""
    words = [word for kind in kinds for word in _WORDS[kind].split()]
    return tuple(word.encode("latin1").decode("unicode_escape").encode("latin1") for word in words)
