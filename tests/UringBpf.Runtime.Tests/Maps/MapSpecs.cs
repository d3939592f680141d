using UringBpf.Bytecode;

namespace UringBpf.Runtime.Tests;

/// <summary>Specs and key bytes for tests.</summary>
internal static class MapSpecs
{
    public static MapSpec Spec(MapType type, int key, int value, int entries, MapFlags flags = MapFlags.None, int spinLock = -1) => new()
    {
        Name = "m",
        Type = type,
        KeySize = key,
        ValueSize = value,
        MaxEntries = entries,
        Flags = flags,
        SpinLockOffset = spinLock,
    };

    public static BpfMap Create(MapType type, int key, int value, int entries, MapFlags flags = MapFlags.None, int spinLock = -1) =>
        MapFactory.Create(Spec(type, key, value, entries, flags, spinLock));

    public static byte[] Key(int size, int number)
    {
        var key = new byte[size];
        for (var i = 0; i < size; i++) key[i] = (byte)(i < 4 ? number >> (8 * i) : i * 7);
        return key;
    }
}
