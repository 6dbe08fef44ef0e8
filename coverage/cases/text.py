"""Text: counting, weighting, hashing."""

from __future__ import annotations

from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from cases.case import Case
from cases.parts import city, text


def _title(value: str) -> str:
    return value.partition(", ")[2]


def _split(value: str) -> list[str]:
    return value.split()


def _passengers(name, what, build):
    return Case(f"text/{name}", what, build, data="titanic", target="survived")


def _cities(name, what, build):
    return Case(f"text/{name}", what, build, data="cities", target="half")


CASES = (
    _passengers("count", "CountVectorizer()", lambda: text(CountVectorizer())),
    _passengers(
        "count-binary", "CountVectorizer(binary=True)", lambda: text(CountVectorizer(binary=True))
    ),
    _passengers(
        "count-cased",
        "CountVectorizer(lowercase=False)",
        lambda: text(CountVectorizer(lowercase=False)),
    ),
    _passengers(
        "count-limits",
        "CountVectorizer(min_df=2, max_df=0.5, max_features=200)",
        lambda: text(CountVectorizer(min_df=2, max_df=0.5, max_features=200)),
    ),
    _passengers(
        "count-bigrams",
        "CountVectorizer(ngram_range=(1, 2), min_df=2)",
        lambda: text(CountVectorizer(ngram_range=(1, 2), min_df=2)),
    ),
    _passengers(
        "count-vocabulary",
        "CountVectorizer(vocabulary=[...])",
        lambda: text(CountVectorizer(vocabulary=["mr", "mrs", "miss", "master", "john"])),
    ),
    _passengers(
        "count-stop-words",
        'CountVectorizer(stop_words="english")',
        lambda: text(CountVectorizer(stop_words="english")),
    ),
    _passengers(
        "count-stop-bigrams",
        "CountVectorizer(stop_words=[...], ngram_range=(1, 2))",
        lambda: text(CountVectorizer(stop_words=["mr", "mrs"], ngram_range=(1, 2), min_df=2)),
    ),
    _passengers(
        "count-single",
        r'CountVectorizer(token_pattern=r"(?u)\b\w+\b"): single letters too',
        lambda: text(CountVectorizer(token_pattern=r"(?u)\b\w+\b")),
    ),
    _passengers(
        "count-letters",
        r'CountVectorizer(token_pattern=r"[a-zA-Z]{3,}")',
        lambda: text(CountVectorizer(token_pattern=r"[a-zA-Z]{3,}")),
    ),
    _passengers(
        "count-group",
        r'CountVectorizer(token_pattern=r"(\w+),"): a group is the token',
        lambda: text(CountVectorizer(token_pattern=r"(\w+),")),
    ),
    _passengers(
        "count-spaces",
        r'CountVectorizer(token_pattern=r"\S+")',
        lambda: text(CountVectorizer(token_pattern=r"\S+")),
    ),
    _passengers(
        "count-char",
        'CountVectorizer(analyzer="char", ngram_range=(1, 2))',
        lambda: text(CountVectorizer(analyzer="char", ngram_range=(1, 2))),
    ),
    _passengers(
        "count-char-wb",
        'CountVectorizer(analyzer="char_wb", ngram_range=(2, 3), min_df=3)',
        lambda: text(CountVectorizer(analyzer="char_wb", ngram_range=(2, 3), min_df=3)),
    ),
    _passengers("tfidf", "TfidfVectorizer()", lambda: text(TfidfVectorizer())),
    _passengers(
        "tfidf-bigrams",
        "TfidfVectorizer(ngram_range=(1, 2), min_df=2)",
        lambda: text(TfidfVectorizer(ngram_range=(1, 2), min_df=2)),
    ),
    _passengers(
        "tfidf-sublinear",
        "TfidfVectorizer(sublinear_tf=True)",
        lambda: text(TfidfVectorizer(sublinear_tf=True)),
    ),
    _passengers(
        "tfidf-stop-words",
        'TfidfVectorizer(stop_words="english", sublinear_tf=True)',
        lambda: text(TfidfVectorizer(stop_words="english", sublinear_tf=True)),
    ),
    _passengers(
        "tfidf-l1",
        'TfidfVectorizer(norm="l1", smooth_idf=False)',
        lambda: text(TfidfVectorizer(norm="l1", smooth_idf=False)),
    ),
    _passengers(
        "tfidf-no-norm",
        "TfidfVectorizer(norm=None, use_idf=False)",
        lambda: text(TfidfVectorizer(norm=None, use_idf=False)),
    ),
    _passengers(
        "tfidf-char-wb",
        'TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=3)',
        lambda: text(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=3)),
    ),
    _passengers(
        "tfidf-char",
        'TfidfVectorizer(analyzer="char", ngram_range=(3, 3))',
        lambda: text(TfidfVectorizer(analyzer="char", ngram_range=(3, 3))),
    ),
    _passengers(
        "tfidf-accents",
        'TfidfVectorizer(strip_accents="unicode")',
        lambda: text(TfidfVectorizer(strip_accents="unicode")),
    ),
    _passengers(
        "tfidf-accents-ascii",
        'TfidfVectorizer(strip_accents="ascii")',
        lambda: text(TfidfVectorizer(strip_accents="ascii")),
    ),
    _passengers(
        "tfidf-svc",
        "TfidfVectorizer(), then LinearSVC()",
        lambda: text(TfidfVectorizer(), last=LinearSVC(random_state=0)),
    ),
    _passengers(
        "tfidf-svd",
        "TfidfVectorizer(), TruncatedSVD(20)",
        lambda: text(TfidfVectorizer(), TruncatedSVD(20, random_state=0)),
    ),
    _passengers(
        "tfidf-best",
        "TfidfVectorizer(), SelectKBest(chi2)",
        lambda: text(TfidfVectorizer(), SelectKBest(chi2, k=50)),
    ),
    _passengers(
        "tfidf-forest",
        "TfidfVectorizer(max_features=100), then a forest",
        lambda: text(
            TfidfVectorizer(max_features=100), last=RandomForestClassifier(10, random_state=0)
        ),
    ),
    _passengers(
        "count-tfidf",
        "CountVectorizer(), TfidfTransformer()",
        lambda: text(CountVectorizer(), TfidfTransformer()),
    ),
    _passengers(
        "count-bayes",
        "CountVectorizer(), MultinomialNB() on the text",
        lambda: text(CountVectorizer(), last=MultinomialNB()).set_params(columns__age="drop"),
    ),
    _passengers(
        "preprocessor",
        "CountVectorizer(preprocessor=a function)",
        lambda: text(CountVectorizer(preprocessor=_title)),
    ),
    _passengers(
        "tokenizer",
        "TfidfVectorizer(tokenizer=a function)",
        lambda: text(TfidfVectorizer(tokenizer=_split, token_pattern=None)),
    ),
    _passengers(
        "hashing",
        "HashingVectorizer(n_features=256)",
        lambda: text(HashingVectorizer(n_features=256)),
    ),
    _passengers(
        "hashing-counts",
        "HashingVectorizer(n_features=512, alternate_sign=False, norm=None)",
        lambda: text(HashingVectorizer(n_features=512, alternate_sign=False, norm=None)),
    ),
    _passengers(
        "hashing-tfidf",
        "HashingVectorizer(), TfidfTransformer()",
        lambda: text(
            make_pipeline(
                HashingVectorizer(n_features=256, alternate_sign=False), TfidfTransformer()
            )
        ),
    ),
    _cities("unicode-tfidf", "TfidfVectorizer() on Unicode", lambda: city(TfidfVectorizer())),
    _cities(
        "unicode-bigrams",
        "CountVectorizer(ngram_range=(1, 2)) on Unicode",
        lambda: city(CountVectorizer(ngram_range=(1, 2))),
    ),
    _cities(
        "unicode-single",
        r'TfidfVectorizer(token_pattern=r"\w+") on Unicode',
        lambda: city(TfidfVectorizer(token_pattern=r"\w+")),
    ),
    _cities(
        "unicode-char",
        'TfidfVectorizer(analyzer="char", ngram_range=(2, 2)) on Unicode',
        lambda: city(TfidfVectorizer(analyzer="char", ngram_range=(2, 2))),
    ),
    _cities(
        "unicode-char-wb",
        'TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), min_df=5) on Unicode',
        lambda: city(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), min_df=5)),
    ),
    _cities(
        "unicode-accents",
        'TfidfVectorizer(strip_accents="unicode", analyzer="char_wb") on Unicode',
        lambda: city(TfidfVectorizer(strip_accents="unicode", analyzer="char_wb")),
    ),
    _cities(
        "unicode-hashing",
        'HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3)) on Unicode',
        lambda: city(HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), n_features=256)),
    ),
    _passengers(
        "twice",
        "one column by words, and again by its letters as they are",
        lambda: text(
            FeatureUnion(
                [
                    ("words", TfidfVectorizer()),
                    ("letters", CountVectorizer(lowercase=False, analyzer="char")),
                ]
            )
        ),
    ),
    _passengers(
        "weights",
        "transformer_weights beside TfidfVectorizer()",
        lambda: text(TfidfVectorizer()).set_params(columns__transformer_weights={"text": 0.5}),
    ),
    _passengers(
        "tfidf-binary",
        "TfidfVectorizer(binary=True, ngram_range=(1, 3))",
        lambda: text(TfidfVectorizer(binary=True, ngram_range=(1, 3))),
    ),
    _passengers(
        "tfidf-scaled",
        "TfidfVectorizer(), MaxAbsScaler()",
        lambda: text(TfidfVectorizer(), MaxAbsScaler()),
    ),
    _passengers(
        "tfidf-normal",
        "CountVectorizer(), Normalizer()",
        lambda: text(CountVectorizer(), Normalizer()),
    ),
    _passengers(
        "tfidf-best-tree",
        "TfidfVectorizer(), SelectKBest(chi2), then a tree",
        lambda: text(
            TfidfVectorizer(),
            SelectKBest(chi2, k=30),
            last=DecisionTreeClassifier(max_depth=8, random_state=0),
        ),
    ),
    _passengers(
        "tfidf-sgd",
        "TfidfVectorizer(), then SGDClassifier(log_loss)",
        lambda: text(TfidfVectorizer(), last=SGDClassifier(loss="log_loss", random_state=0)),
    ),
    _passengers(
        "tfidf-complement",
        "TfidfVectorizer(), then ComplementNB() on the text",
        lambda: text(TfidfVectorizer(), last=ComplementNB()).set_params(columns__age="drop"),
    ),
    _passengers(
        "hashing-default",
        "HashingVectorizer(): 2**20 columns",
        lambda: text(HashingVectorizer()),
    ),
    _passengers(
        "hashing-forest",
        "HashingVectorizer(n_features=2**18), then a forest",
        lambda: text(
            HashingVectorizer(n_features=2**18), last=RandomForestClassifier(1, random_state=0)
        ),
    ),
    _passengers(
        "hashing-binary",
        'HashingVectorizer(n_features=64, binary=True, norm="l1")',
        lambda: text(HashingVectorizer(n_features=64, binary=True, norm="l1")),
    ),
    _passengers(
        "float32",
        "TfidfVectorizer(dtype=float32)",
        lambda: text(TfidfVectorizer(dtype="float32")),
    ),
)
