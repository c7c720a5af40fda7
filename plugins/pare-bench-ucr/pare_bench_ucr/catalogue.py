"""The files that are read, as the wheel of aeon 1.6.0 has them: how large, with which digest, and how many series."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesFile:
    """One file of a data set: its ``size`` in bytes, ``sha256``, and number of ``series``."""

    size: int
    sha256: str
    series: int


@dataclass(frozen=True)
class Problem:
    """The archive's own training and test file of one data set."""

    train: SeriesFile
    test: SeriesFile


#: By the archive's name of the data set, which is that of its folder and files, too.
PROBLEMS = {
    "ArrowHead": Problem(
        train=SeriesFile(100357, "a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72", 36),
        test=SeriesFile(484894, "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904", 175),
    ),
    "GunPoint": Problem(
        train=SeriesFile(84188, "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5", 50),
        test=SeriesFile(252305, "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e", 150),
    ),
    "ItalyPowerDemand": Problem(
        train=SeriesFile(18300, "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c", 67),
        test=SeriesFile(274054, "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144", 1029),
    ),
    "OSULeaf": Problem(
        train=SeriesFile(953148, "86b9d6e860414ffd26cebc62fff84ffb37fa588ef3e5bf79e4094a437c36ddfc", 200),
        test=SeriesFile(1152821, "6c549dd354f9e42d5985fa5fab75321ca9acefc7873457e71467fc8a31f107ce", 242),
    ),
    "ACSF1": Problem(
        train=SeriesFile(1658422, "0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b", 100),
        test=SeriesFile(1659932, "93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf", 100),
    ),
    "PickupGestureWiimoteZ": Problem(
        train=SeriesFile(43921, "4d303d9990df621c066fc454d62626e3721aed008462103500b86b1ac1ca92c8", 50),
        test=SeriesFile(44312, "a9109bce918e48ee0e924e9cf2fdfdc4de364a3d88ec5e8aa44399ff08b11361", 50),
    ),
    "BasicMotions": Problem(
        train=SeriesFile(227790, "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6", 40),
        test=SeriesFile(227713, "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc", 40),
    ),
    "JapaneseVowels": Problem(
        train=SeriesFile(487971, "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd", 270),
        test=SeriesFile(649132, "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462", 370),
    ),
}
