"""The language of the acceptance checks. It is that of the load tests too: `loadtests.client` holds it."""

from loadtests.client import FIRST_RULES as FIRST_RULES
from loadtests.client import GROUPS as GROUPS
from loadtests.client import PROBLEM as PROBLEM
from loadtests.client import RIGHTS as RIGHTS
from loadtests.client import ROOT as ROOT
from loadtests.client import RULES as RULES
from loadtests.client import SHARED as SHARED
from loadtests.client import START_SECONDS as START_SECONDS
from loadtests.client import TWO_YEARS_DAYS as TWO_YEARS_DAYS
from loadtests.client import Person as Person
from loadtests.client import Site as Site
from loadtests.client import Venue as Venue
from loadtests.client import command_id as command_id
from loadtests.client import done as done
from loadtests.client import free_port as free_port
from loadtests.client import has_chinese as has_chinese
from loadtests.client import instant as instant
from loadtests.client import invented_uscc as invented_uscc
from loadtests.client import parsed as parsed
from loadtests.client import refused as refused
from loadtests.client import rules_named as rules_named
from loadtests.client import settled as settled
from loadtests.client import sha256_of as sha256_of
from loadtests.client import shuji as shuji
from loadtests.client import unknown as unknown
from loadtests.client import unlawful as unlawful
