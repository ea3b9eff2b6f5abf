package locality

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// place is what a LOC record says (RFC 1876), in units in which it is whole.
type place struct {
	lat, long int64 // thousandths of a second of arc, north and east
	alt       int64 // centimetres above the WGS 84 spheroid
}

const (
	perDegree = 60 * 60 * 1000 // thousandths of a second of arc
	equator   = 1 << 31        // latitude of the equator, and longitude of the prime meridian
	seaLevel  = 100_000_00     // altitude 0, in cm
	maxPlaces = 7              // decimals; a thousandth of a second is 2.8e-7 degrees
)

// placeOf reads a LOC record.
func placeOf(r *dns.LOC) (place, error) {
	p := place{int64(r.Latitude) - equator, int64(r.Longitude) - equator, int64(r.Altitude) - seaLevel}
	switch {
	case r.Version != 0:
		return p, fmt.Errorf("version %d of LOC records is not known", r.Version)
	case p.lat < -90*perDegree || p.lat > 90*perDegree:
		return p, errors.New("the latitude of the LOC record is beyond a pole")
	case p.long < -180*perDegree || p.long > 180*perDegree:
		return p, errors.New("the longitude of the LOC record is more than 180 degrees")
	}
	return p, nil
}

// value is lat, long or alt, with as many decimals as a number after a dot says, rounded down. A
// place just west of the prime meridian is therefore in another cell than one just east of it.
func (p place) value(name string) (string, error) {
	which, decimals, err := cutPlaceName(name)
	if err != nil {
		return "", err
	}
	n, unit := p.alt, int64(100)
	switch which {
	case "lat":
		n, unit = p.lat, perDegree
	case "long":
		n, unit = p.long, perDegree
	}
	scale := int64(1)
	for range decimals {
		scale *= 10
	}
	scaled := n * scale / unit // at most 180 * 3.6e6 * 1e7, far below 2^63
	if n < 0 && scaled*unit != n*scale {
		scaled--
	}
	return decimal(scaled, scale, decimals), nil
}

// decimal writes scaled/scale with decimals.
func decimal(scaled, scale int64, decimals int) string {
	sign := ""
	if scaled < 0 {
		sign, scaled = "-", -scaled
	}
	text := sign + strconv.FormatInt(scaled/scale, 10)
	if decimals > 0 {
		text += fmt.Sprintf(".%0*d", decimals, scaled%scale)
	}
	return text
}

// cutPlaceName splits a name such as lat.2.
func cutPlaceName(name string) (which string, decimals int, err error) {
	which, digits, found := strings.Cut(name, ".")
	if which != "lat" && which != "long" && which != "alt" {
		return "", 0, fmt.Errorf("{%s} is none of {lat}, {long} and {alt}, perhaps with decimals as in {lat.2}", name)
	}
	if !found {
		return which, 0, nil
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > maxPlaces || strconv.Itoa(n) != digits {
		return "", 0, fmt.Errorf("{%s} has no number of decimals from 0 to %d", name, maxPlaces)
	}
	return which, n, nil
}

func checkPlaceNames(names []string) error {
	for _, name := range names {
		if _, _, err := cutPlaceName(name); err != nil {
			return err
		}
	}
	return nil
}
